-- name: tombstones
SELECT seq, namespace, name, deleted_ms FROM declared WHERE deleted_ms < ? ORDER BY deleted_ms;

-- name: orphans
-- Those in flight are left alone: their attempt ends first.
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source, m.retried
FROM messages AS m
WHERE m.lane = :lane AND m.state IN ('Waiting', 'Retrying')
ORDER BY m.due_ms LIMIT :limit;

-- name: in_flight
SELECT 1 FROM messages WHERE state = 'Delivering' AND lane = ? LIMIT 1;

-- name: forget_endpoint
DELETE FROM declared WHERE seq = ?;

-- name: forget_stats
DELETE FROM endpoint_stats WHERE namespace = ? AND name = ?;

-- name: old_log
SELECT l.id, l.message, l.namespace, coalesce(length(l.response_body), 0) AS size FROM usage AS u
CROSS JOIN log AS l ON l.namespace = u.namespace AND l.time_ms < :cutoff
LIMIT :limit;

-- name: delete_log
DELETE FROM log WHERE id IN (SELECT value FROM json_each(?));

-- name: old_dead_letters
SELECT l.seq AS id, l.message, l.namespace, coalesce(length(l.response_body), 0) AS size FROM usage AS u
CROSS JOIN dead_letters AS l ON l.namespace = u.namespace AND l.created_ms < :cutoff
LIMIT :limit;

-- name: delete_dead_letters
DELETE FROM dead_letters WHERE seq IN (SELECT value FROM json_each(?));

-- name: aged
SELECT seq FROM messages WHERE aging_ms < :cutoff ORDER BY aging_ms LIMIT :limit;

-- name: mark_aged
UPDATE messages SET aging_ms = NULL WHERE seq IN (SELECT value FROM json_each(?));

-- name: left_runs
SELECT seq FROM runs WHERE listed = 0 LIMIT ?;

-- name: messages_of_runs
SELECT m.seq FROM json_each(?) AS left_run CROSS JOIN messages AS m ON m.run = left_run.value;

-- name: mark_left
UPDATE runs SET listed = NULL WHERE seq IN (SELECT value FROM json_each(?));

-- name: spare_bodies
-- Bodies of messages past their retention, unless a dead letter still needs them.
SELECT b.message, length(b.body) AS size, m.namespace FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.seq = given.value
CROSS JOIN bodies AS b ON b.message = m.seq
WHERE m.finished_ms IS NOT NULL AND m.aging_ms IS NULL
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS l WHERE l.message = m.seq);

-- name: delete_bodies
DELETE FROM bodies WHERE message IN (SELECT value FROM json_each(?));

-- name: spare_messages
-- Messages past their retention that no log entry, no dead letter and no listed run needs.
SELECT m.seq, m.run FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.seq = given.value
LEFT JOIN runs AS r ON r.seq = m.run
WHERE m.finished_ms IS NOT NULL AND m.aging_ms IS NULL AND r.listed IS NOT 1
    AND NOT EXISTS (SELECT 1 FROM log AS l WHERE l.message = m.seq)
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS l WHERE l.message = m.seq);

-- name: delete_attempts
DELETE FROM attempts WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_messages
DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?));

-- name: delete_empty_runs
DELETE FROM runs
WHERE seq IN (SELECT value FROM json_each(?)) AND listed IS NOT 1
    AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.run = runs.seq);
