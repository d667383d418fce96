-- name: usage
SELECT waiting, stored_bytes FROM usage WHERE namespace = ?;

-- name: charge
INSERT INTO usage (namespace, waiting, stored_bytes, dead_letters) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace) DO UPDATE SET
    waiting = waiting + excluded.waiting,
    stored_bytes = stored_bytes + excluded.stored_bytes,
    dead_letters = dead_letters + excluded.dead_letters;

-- name: forget_lanes
DELETE FROM lanes WHERE lane IN (SELECT value FROM json_each(?));

-- name: sum_lanes
INSERT INTO lanes (lane, namespace, destination, endpoint, flow, due_ms, seq)
-- '#' parts the destination from the flow-control key (domain/fanout.py).
SELECT m.lane, m.namespace, substr(m.lane, 1, instr(m.lane || '#', '#') - 1), m.endpoint,
    coalesce(m.flow, 'endpoint/' || m.endpoint), m.due_ms, m.seq
FROM json_each(?) AS touched
CROSS JOIN messages AS m ON m.seq = (
    SELECT seq FROM messages
    WHERE lane = touched.value AND state IN ('Waiting', 'Retrying') AND queued = 0
    ORDER BY due_ms, seq LIMIT 1
);

-- name: count_ends
-- Rows of the parameter: [run, delivered, failed, canceled, now_ms].
UPDATE runs SET
    pending = pending - (ends.value ->> 1) - (ends.value ->> 2) - (ends.value ->> 3),
    delivered = delivered + (ends.value ->> 1),
    failed = failed + (ends.value ->> 2)
FROM json_each(?) AS ends
WHERE runs.seq = ends.value ->> 0;

-- name: note_results
-- A run has failed if any message failed, was delivered if none failed and any was delivered, once all are terminal.
UPDATE schedules SET
    last_failure_ms = coalesce(ended.failure_ms, last_failure_ms),
    last_success_ms = coalesce(ended.success_ms, last_success_ms)
FROM (
    SELECT r.schedule_uid,
        max(iif(r.failed > 0, ends.value ->> 4, NULL)) AS failure_ms,
        max(iif(r.failed > 0, NULL, ends.value ->> 4)) AS success_ms
    FROM json_each(?) AS ends CROSS JOIN runs AS r ON r.seq = ends.value ->> 0
    WHERE r.pending = 0 AND (r.failed > 0 OR r.delivered > 0)
    GROUP BY r.schedule_uid
) AS ended
WHERE schedules.uid = ended.schedule_uid;
