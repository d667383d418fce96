-- name: tokens
DELETE FROM credentials WHERE namespace = ?;

-- name: signing_keys
DELETE FROM signing_keys WHERE namespace = ?;

-- name: declared
DELETE FROM declared WHERE kind IN ('Endpoint', 'Topic', 'Schedule', 'Token') AND namespace = ?;

-- name: mentions
DELETE FROM mentions WHERE namespace = ?;

-- name: schedules
DELETE FROM schedules WHERE namespace = ?;

-- name: endpoint_stats
DELETE FROM endpoint_stats WHERE namespace = ?;

-- name: some_log
SELECT id FROM log WHERE namespace = :namespace LIMIT :limit;

-- name: delete_log
DELETE FROM log WHERE id IN (SELECT value FROM json_each(?));

-- name: some_messages
-- Reads past the messages of other tenants: for a reader, not for the writer.
SELECT seq FROM messages WHERE namespace = :namespace AND seq > :after ORDER BY seq LIMIT :limit;

-- name: delete_bodies
DELETE FROM bodies WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_attempts
DELETE FROM attempts WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_messages
DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?));

-- name: lanes
-- Lanes are '<namespace>/<lane>', and '0' follows '/'.
DELETE FROM lanes WHERE lane BETWEEN ?1 || '/' AND ?1 || '0';

-- name: dead_letters
DELETE FROM dead_letters WHERE namespace = ?;

-- name: runs
DELETE FROM runs WHERE namespace = ?;

-- name: usage
DELETE FROM usage WHERE namespace = ?;
