-- name: spare_bodies
-- Bodies of messages past their retention, unless a dead letter still needs them.
SELECT json_group_array(json_object('message', b.message, 'size', length(b.body), 'namespace', m.namespace))
FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.seq = given.value
CROSS JOIN bodies AS b ON b.message = m.seq
WHERE m.finished_ms IS NOT NULL AND m.aging_ms IS NULL
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS l WHERE l.message = m.seq);

-- name: delete_bodies
DELETE FROM bodies WHERE message IN (SELECT value FROM json_each(?));

-- name: spare_messages
-- Messages past their retention that no log entry, no dead letter, no listed run and no place in a queue needs.
SELECT json_group_array(json_object('seq', m.seq, 'run', m.run, 'namespace', m.namespace, 'source', m.source))
FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.seq = given.value
LEFT JOIN runs AS r ON r.seq = m.run
WHERE m.finished_ms IS NOT NULL AND m.aging_ms IS NULL AND m.holding = 0 AND r.listed IS NOT 1
    AND NOT EXISTS (SELECT 1 FROM log AS l WHERE l.message = m.seq)
    AND NOT EXISTS (SELECT 1 FROM dead_letters AS l WHERE l.message = m.seq)
    AND NOT EXISTS (
        SELECT 1 FROM messages AS c WHERE c.source = m.id AND c.namespace = m.namespace AND c.finished_ms IS NULL
    );

-- name: delete_attempts
DELETE FROM attempts WHERE message IN (SELECT value FROM json_each(?));

-- name: delete_messages
DELETE FROM messages WHERE seq IN (SELECT value FROM json_each(?));

-- name: delete_empty_runs
DELETE FROM runs
WHERE seq IN (SELECT value FROM json_each(?)) AND listed IS NOT 1
    AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.run = runs.seq);

-- name: sources
-- Rows of the parameter: [namespace, id].
SELECT json_group_array(json_object('seq', m.seq)) FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.id = given.value ->> 1
WHERE m.namespace = given.value ->> 0;
