-- name: tokens
DELETE FROM credentials WHERE namespace = :namespace;

-- name: signing_keys
DELETE FROM signing_keys WHERE namespace = :namespace;

-- name: declared
DELETE FROM declared WHERE kind IN ('Endpoint', 'Topic', 'Schedule', 'Queue', 'Token') AND namespace = :namespace;

-- name: mentions
DELETE FROM mentions WHERE namespace = :namespace;

-- name: schedules
DELETE FROM schedules WHERE namespace = :namespace;

-- name: endpoint_stats
DELETE FROM endpoint_stats WHERE namespace = :namespace;

-- name: some_log
SELECT json_group_array(json_object('key', id, 'weight', weight)) FROM (
    SELECT id, coalesce(length(response_body), 0) AS weight FROM log WHERE namespace = :namespace LIMIT :limit
);

-- name: delete_log
DELETE FROM log WHERE id IN (SELECT value FROM json_each(?));

-- name: some_dead_letters
SELECT json_group_array(json_object('key', seq, 'weight', weight)) FROM (
    SELECT seq, coalesce(length(response_body), 0) AS weight FROM dead_letters WHERE namespace = :namespace LIMIT :limit
);

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE seq IN (SELECT value FROM json_each(?));

-- name: some_deduplication
DELETE FROM deduplication
WHERE namespace = :namespace AND key IN (SELECT key FROM deduplication WHERE namespace = :namespace LIMIT :limit);

-- name: some_flow_controls
DELETE FROM flow_controls
WHERE namespace = :namespace AND key IN (SELECT key FROM flow_controls WHERE namespace = :namespace LIMIT :limit);

-- name: some_messages
-- Reads past the messages of other tenants: for a reader, not for the writer.
SELECT json_group_array(json_object('seq', seq, 'weight', weight)) FROM (
    SELECT m.seq, coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = m.seq), 0) AS weight
    FROM messages AS m WHERE m.namespace = :namespace AND m.seq > :after ORDER BY m.seq LIMIT :limit
);

-- name: still_theirs
-- A number that was read may have become free since, and another tenant's.
SELECT seq, id, state FROM messages WHERE seq IN (SELECT value FROM json_each(:seqs)) AND namespace = :namespace;

-- name: delete_bodies
DELETE FROM bodies WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_attempts
DELETE FROM attempts WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_messages
DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?));

-- name: some_lanes
-- Lanes are '<namespace>/<lane>', and '0' follows '/'.
DELETE FROM lanes WHERE lane IN (
    SELECT lane FROM lanes WHERE lane BETWEEN :namespace || '/' AND :namespace || '0' LIMIT :limit
);

-- name: some_runs
DELETE FROM runs WHERE seq IN (SELECT seq FROM runs WHERE namespace = :namespace LIMIT :limit);

-- name: queues
DELETE FROM queues WHERE namespace = :namespace;

-- name: usage
DELETE FROM usage WHERE namespace = :namespace;

-- name: identity
DELETE FROM identities WHERE namespace = :namespace;

-- name: identify
INSERT INTO identities (namespace, uid) VALUES (:namespace, :uid)
ON CONFLICT (namespace) DO UPDATE SET uid = excluded.uid;

-- name: tenants
SELECT namespace, uid FROM (
    SELECT namespace FROM usage UNION SELECT namespace FROM declared
    UNION SELECT namespace FROM credentials UNION SELECT namespace FROM signing_keys
) LEFT JOIN identities USING (namespace);

-- name: holdings
-- Reads past what other tenants have: for a person who waits, while no program has the database.
SELECT kind AS what, count(*) AS number FROM declared WHERE namespace = :namespace GROUP BY kind
UNION ALL SELECT 'credentials', count(*) FROM credentials WHERE namespace = :namespace
UNION ALL SELECT 'signing_keys', count(*) FROM signing_keys WHERE namespace = :namespace
UNION ALL SELECT 'unfinished', count(*) FROM messages WHERE namespace = :namespace AND finished_ms IS NULL
UNION ALL SELECT 'finished', count(*) FROM messages WHERE namespace = :namespace AND finished_ms IS NOT NULL
UNION ALL SELECT 'dead_letters', count(*) FROM dead_letters WHERE namespace = :namespace
UNION ALL SELECT 'log', count(*) FROM log WHERE namespace = :namespace;
