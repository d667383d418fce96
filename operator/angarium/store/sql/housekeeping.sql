-- name: tombstones
SELECT seq, namespace, name, deleted_ms FROM declared
WHERE deleted_ms < :before AND (deleted_ms, seq) > (:after_ms, :after)
ORDER BY deleted_ms, seq LIMIT :limit;

-- name: orphans
-- Those in flight are left alone: their attempt ends first. The others wait in lanes of the Endpoint, of which '#' parts
-- those under a flow-control key ('$' follows '#'), or for a place in a queue. `weight`: bytes of what callbacks tell of.
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source, m.retried,
    iif(m.extras IS NULL, 0, coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = m.seq), 0)) AS weight
FROM lanes AS l
CROSS JOIN messages AS m ON m.lane = l.lane AND m.state IN ('Waiting', 'Retrying') AND m.queued = 0
WHERE l.lane = :destination OR l.lane BETWEEN :destination || '#' AND :destination || '$'
UNION ALL
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source, m.retried,
    iif(m.extras IS NULL, 0, coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = m.seq), 0)) AS weight
FROM messages AS m
WHERE m.namespace = :namespace AND m.queued = 1 AND m.endpoint = :endpoint
LIMIT :limit;

-- name: telling
-- Of these messages, those that may have callbacks. Rows as message_rows.
SELECT m.* FROM json_each(?) AS given
CROSS JOIN message_rows AS m ON m.seq = given.value
WHERE m.extras IS NOT NULL;

-- name: in_flight
SELECT 1 FROM messages WHERE state = 'Delivering' AND namespace = :namespace AND endpoint = :endpoint LIMIT 1;

-- name: forget_endpoint
DELETE FROM declared WHERE seq = ?;

-- name: forget_stats
DELETE FROM endpoint_stats WHERE namespace = ? AND name = ?;

-- name: old_log
SELECT json_group_array(json_object('id', id, 'message', message, 'namespace', namespace, 'size', size)) FROM (
    SELECT l.id, l.message, l.namespace, coalesce(length(l.response_body), 0) AS size FROM usage AS u
    CROSS JOIN log AS l ON l.namespace = u.namespace AND l.time_ms < :cutoff
    LIMIT :limit
);

-- name: delete_log
DELETE FROM log WHERE id IN (SELECT value FROM json_each(?));

-- name: old_dead_letters
-- `weight`: bytes of the response (`size`) and of the body, which goes with the letter.
SELECT json_group_array(json_object(
    'seq', seq, 'message', message, 'namespace', namespace, 'size', size, 'weight', size + body
)) FROM (
    SELECT l.seq, l.message, l.namespace, coalesce(length(l.response_body), 0) AS size,
        coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = l.message), 0) AS body
    FROM usage AS u
    CROSS JOIN dead_letters AS l ON l.namespace = u.namespace AND l.created_ms < :cutoff
    LIMIT :limit
);

-- name: aged
SELECT json_group_array(json_object('seq', seq, 'weight', weight)) FROM (
    SELECT m.seq, coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = m.seq), 0) AS weight
    FROM messages AS m WHERE m.aging_ms < :cutoff ORDER BY m.aging_ms LIMIT :limit
);

-- name: mark_aged
UPDATE messages SET aging_ms = NULL WHERE seq IN (SELECT value FROM json_each(?));

-- name: left_runs
SELECT json_group_array(json_object('seq', seq, 'messages', messages)) FROM (
    SELECT r.seq, (SELECT count(*) FROM messages AS m WHERE m.run = r.seq) AS messages
    FROM runs AS r WHERE r.listed = 0 LIMIT ?
);

-- name: messages_of_runs
SELECT json_group_array(json_object('seq', m.seq)) FROM json_each(?) AS left_run
CROSS JOIN messages AS m ON m.run = left_run.value;

-- name: mark_left
UPDATE runs SET listed = NULL WHERE seq IN (SELECT value FROM json_each(?));
