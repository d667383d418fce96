-- name: schedules
SELECT d.namespace, d.name, s.* FROM json_each(?) AS ref
CROSS JOIN declared AS d ON d.kind = 'Schedule' AND d.namespace = ref.value ->> 1 AND d.name = ref.value ->> 2
CROSS JOIN schedules AS s ON s.uid = d.uid;

-- name: runs
-- Rows of the parameter: [schedule_uid, number after which runs are wanted].
SELECT r.seq, r.id AS run_id, r.namespace, r.schedule, r.schedule_uid, r.slot_ms, r.trigger, r.reason, r.error
FROM json_each(?) AS wanted
CROSS JOIN runs AS r ON r.schedule_uid = wanted.value ->> 0 AND r.number > wanted.value ->> 1
ORDER BY r.schedule_uid, r.number DESC;

-- name: members
-- At most :most messages per run; :order has the states in the order in which they are told of.
SELECT m.seq, m.id, m.run, m.endpoint_name, m.state, m.max_retries, m.due_ms, m.finished_ms,
    (SELECT coalesce(max(a.number), 0) FROM attempts AS a WHERE a.message = m.seq) AS attempts
FROM (
    SELECT m.seq AS member, row_number() OVER (PARTITION BY m.run ORDER BY instr(:order, m.state), m.seq) AS place
    FROM json_each(:runs) AS wanted
    CROSS JOIN messages AS m ON m.run = wanted.value
)
CROSS JOIN messages AS m ON m.seq = member
WHERE place <= :most
ORDER BY m.run, place;

-- name: counts
SELECT m.run, m.state, count(*) AS count FROM json_each(?) AS wanted
CROSS JOIN messages AS m ON m.run = wanted.value
GROUP BY m.run, m.state;

-- name: attempts
-- Rows of the parameter: [message, number after which attempts are wanted].
SELECT a.message, a.number, a.time_ms, a.duration_us, a.status, a.error
FROM json_each(?) AS wanted
CROSS JOIN attempts AS a ON a.message = wanted.value ->> 0 AND a.number > wanted.value ->> 1
ORDER BY a.message, a.number;

-- name: endpoints
SELECT d.namespace, d.name, t.failures, t.message_id, t.number, t.time_ms, t.duration_us, t.status, t.error
FROM json_each(?) AS ref
CROSS JOIN declared AS d ON d.kind = 'Endpoint' AND d.namespace = ref.value ->> 1 AND d.name = ref.value ->> 2
LEFT JOIN endpoint_stats AS t ON t.namespace = d.namespace AND t.name = d.name AND t.uid = d.uid
WHERE d.deleted_ms IS NULL;

-- name: queues
-- With the message that joins first of those without a place: its delay may not be over.
SELECT d.namespace, d.name, coalesce(q.lag, 0) AS lag, f.id, f.joined_ms, f.created_ms
FROM json_each(:refs) AS ref
CROSS JOIN declared AS d ON d.kind = 'Queue' AND d.namespace = ref.value ->> 1 AND d.name = ref.value ->> 2
LEFT JOIN queues AS q ON q.namespace = d.namespace AND q.name = d.name
LEFT JOIN messages AS f ON f.seq = (
    SELECT m.seq FROM messages AS m
    WHERE m.namespace = d.namespace AND m.queue = d.name AND m.queued = 1
    ORDER BY m.joined_ms, m.seq LIMIT 1
);

-- name: places
-- Who has a place. `held`: the Endpoint is suspended, not accepted or gone. `closed`: the
-- flow-control key lets nobody start now.
SELECT m.seq, m.namespace, m.queue, m.id, m.state, m.joined_ms, m.due_ms,
    m.endpoint IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM declared AS d
        WHERE d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.held = 0
    ) AS held,
    EXISTS (
        SELECT 1 FROM flow_controls AS f
        WHERE f.namespace = m.namespace AND f.key = coalesce(m.flow, 'endpoint/' || m.endpoint)
            AND coalesce(f.opens_ms > :now, 1)
    ) AS closed,
    (SELECT max(a.time_ms + a.duration_us / 1000) FROM attempts AS a WHERE a.message = m.seq) AS tried_ms
FROM json_each(:refs) AS ref
CROSS JOIN messages AS m
    ON m.namespace = ref.value ->> 1 AND m.queue = ref.value ->> 2 AND m.queued = 0 AND m.finished_ms IS NULL;

-- name: held_places
-- Of messages that have ended and whose callbacks have not.
SELECT m.seq, m.namespace, m.queue, m.id, m.joined_ms, m.finished_ms FROM json_each(:refs) AS ref
CROSS JOIN messages AS m ON m.namespace = ref.value ->> 1 AND m.queue = ref.value ->> 2 AND m.holding = 1;

-- name: tenants
SELECT coalesce(sum(waiting), 0) AS waiting, coalesce(sum(dead_letters), 0) AS dead_letters FROM usage;

-- name: delivering
SELECT count(*) AS delivering FROM messages WHERE state = 'Delivering';

-- name: oldest_due
SELECT min(due_ms) AS due_ms FROM lanes;

-- name: oldest_claimable
-- Of the due messages that nothing holds back but room: messages.due_lanes has the same conditions.
SELECT l.due_ms FROM lanes AS l
WHERE l.due_ms <= :now
    AND (l.endpoint IS NULL OR EXISTS (
        SELECT 1 FROM declared AS d
        WHERE d.kind = 'Endpoint' AND d.namespace = l.namespace AND d.name = l.endpoint AND d.held = 0
    ))
    AND (l.flow IS NULL OR NOT EXISTS (
        SELECT 1 FROM flow_controls AS f
        WHERE f.namespace = l.namespace AND f.key = l.flow AND (f.opens_ms IS NULL OR f.opens_ms > :now)
    ))
ORDER BY l.due_ms LIMIT 1;

-- name: kinds
SELECT kind, count(*) AS count FROM declared WHERE deleted_ms IS NULL GROUP BY kind;
