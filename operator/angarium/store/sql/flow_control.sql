-- name: key
SELECT * FROM flow_controls WHERE namespace = ? AND key = ?;

-- name: keys
SELECT * FROM flow_controls WHERE namespace = :namespace AND instr(key, :search) > 0 ORDER BY key;

-- name: write
INSERT INTO flow_controls (
    namespace, key, parallelism, rate, period_ms, paused, pinned_parallelism, pinned_rate,
    active, started, window_ms, opens_ms, used_ms
) VALUES (
    :namespace, :key, :parallelism, :rate, :period_ms, :paused, :pinned_parallelism, :pinned_rate,
    :active, :started, :window_ms, :opens_ms, :used_ms
)
ON CONFLICT (namespace, key) DO UPDATE SET
    parallelism = excluded.parallelism, rate = excluded.rate, period_ms = excluded.period_ms,
    paused = excluded.paused, pinned_parallelism = excluded.pinned_parallelism, pinned_rate = excluded.pinned_rate,
    active = excluded.active, started = excluded.started, window_ms = excluded.window_ms,
    opens_ms = excluded.opens_ms, used_ms = max(used_ms, excluded.used_ms);

-- name: on_their_way
SELECT count(*) AS active FROM messages AS m
WHERE m.state = 'Delivering' AND m.namespace = :namespace AND coalesce(m.flow, 'endpoint/' || m.endpoint) = :key;

-- name: waiting
-- Due messages of a key that are not on their way.
SELECT count(*) AS waiting FROM lanes AS l
CROSS JOIN messages AS m
    ON m.lane = l.lane AND m.state IN ('Waiting', 'Retrying') AND m.queued = 0 AND m.due_ms <= :now
WHERE l.namespace = :namespace AND l.flow = :key AND l.due_ms <= :now;

-- name: somebody_waits
SELECT 1 FROM lanes WHERE namespace = :namespace AND flow = :key AND due_ms <= :now LIMIT 1;

-- name: next_open
-- The first window to end that a message waits for.
SELECT f.opens_ms FROM flow_controls AS f
WHERE f.opens_ms > :now
    AND EXISTS (
        SELECT 1 FROM lanes AS l
        WHERE l.namespace = f.namespace AND l.flow = f.key AND l.due_ms < f.opens_ms
            AND (l.endpoint IS NULL OR EXISTS (
                SELECT 1 FROM declared AS d
                WHERE d.kind = 'Endpoint' AND d.namespace = l.namespace AND d.name = l.endpoint AND d.held = 0
            ))
    )
ORDER BY f.opens_ms LIMIT 1;

-- name: delivering
SELECT count(*) AS delivering FROM messages AS m WHERE m.state = 'Delivering' AND m.namespace = ?;

-- name: longest_unused
-- Whether they are idle: nothing uses them, nobody fixed them, and their window is over. An Endpoint's stay as long as
-- the Endpoint.
SELECT f.namespace, f.key,
    f.paused + f.pinned_parallelism + f.pinned_rate = 0 AND f.active = 0
    AND coalesce(f.window_ms, 0) + f.period_ms < :now
    AND NOT EXISTS (
        SELECT 1 FROM messages AS m WHERE m.namespace = f.namespace AND m.flow = f.key AND m.finished_ms IS NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM declared AS d
        WHERE d.kind = 'Endpoint' AND d.namespace = f.namespace
            AND d.name = iif(substr(f.key, 1, 9) = 'endpoint/', substr(f.key, 10), NULL)
    ) AS idle
FROM flow_controls AS f
WHERE f.used_ms < :before ORDER BY f.used_ms LIMIT :limit;

-- name: keep
-- Rows of the parameter: [namespace, key]. They are needed, so they count as used now.
UPDATE flow_controls SET used_ms = :now
WHERE (namespace, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:keys));

-- name: forget
-- Rows of the parameter: [namespace, key].
DELETE FROM flow_controls WHERE (namespace, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?));

-- name: fixed
-- How many others are paused or pinned.
SELECT count(*) AS count FROM flow_controls
WHERE namespace = ? AND paused + pinned_parallelism + pinned_rate > 0 AND key <> ?;
