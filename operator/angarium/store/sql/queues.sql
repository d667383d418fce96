-- name: line
-- A queue without a row is empty.
SELECT d.rejected, d.spec, coalesce(q.active, 0) AS active, coalesce(q.lag, 0) AS lag,
    coalesce(q.tail_ms, 0) AS tail_ms, q.next_ms
FROM (SELECT :namespace AS namespace, :queue AS name) AS asked
LEFT JOIN declared AS d ON d.kind = 'Queue' AND d.namespace = asked.namespace AND d.name = asked.name
LEFT JOIN queues AS q ON q.namespace = asked.namespace AND q.name = asked.name;

-- name: write
INSERT INTO queues (namespace, name, active, lag, tail_ms, next_ms) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (namespace, name) DO UPDATE SET
    active = excluded.active, lag = excluded.lag, tail_ms = excluded.tail_ms, next_ms = excluded.next_ms;

-- name: forget
DELETE FROM queues WHERE namespace = ? AND name = ?;

-- name: hold
-- Of these messages, those with callbacks that have not ended keep their place.
UPDATE messages SET holding = 1
WHERE seq IN (SELECT value FROM json_each(?))
    AND EXISTS (
        SELECT 1 FROM messages AS c
        WHERE c.source = messages.id AND c.namespace = messages.namespace AND c.finished_ms IS NULL
    )
RETURNING seq;

-- name: let_go
-- Rows of the parameter: [namespace, id of a source]. Those whose last callback has ended hold their place no more.
UPDATE messages SET holding = 0
WHERE seq IN (
        SELECT m.seq FROM json_each(?) AS source
        CROSS JOIN messages AS m ON m.id = source.value ->> 1
        WHERE m.namespace = source.value ->> 0 AND m.holding = 1
    )
    AND NOT EXISTS (
        SELECT 1 FROM messages AS c
        WHERE c.source = messages.id AND c.namespace = messages.namespace AND c.finished_ms IS NULL
    )
RETURNING namespace, queue;

-- name: let_in
-- In the order of the queue. In its lane a message is due since it joined, never before its delay is over.
UPDATE messages SET queued = 0, due_ms = iif(not_before_ms > created_ms, due_ms, min(joined_ms, :now))
WHERE seq IN (
    SELECT seq FROM messages
    WHERE namespace = :namespace AND queue = :queue AND queued = 1 AND joined_ms <= :until
    ORDER BY joined_ms, seq LIMIT :most
)
RETURNING lane;

-- name: first_queued
SELECT joined_ms FROM messages WHERE namespace = ? AND queue = ? AND queued = 1 ORDER BY joined_ms, seq LIMIT 1;

-- name: joining
-- Queues with a free place and somebody whose delay is over.
SELECT namespace, name FROM queues WHERE next_ms <= :now;

-- name: next_joining
SELECT next_ms FROM queues WHERE next_ms > :now ORDER BY next_ms LIMIT 1;

-- name: held_too_long
SELECT seq, id, namespace, queue FROM messages
WHERE holding = 1 AND finished_ms < :before ORDER BY finished_ms LIMIT :limit;

-- name: free
UPDATE messages SET holding = 0 WHERE seq IN (SELECT value FROM json_each(?));
