-- name: known
SELECT uid, generation, fingerprint FROM declared
WHERE kind = ? AND namespace = ? AND name = ? AND deleted_ms IS NULL;

-- name: declared
SELECT * FROM declared WHERE kind = ? AND namespace = ? AND name = ? AND deleted_ms IS NULL;

-- name: all
SELECT * FROM declared
WHERE kind = :kind AND (:namespace IS NULL OR namespace = :namespace) AND (:origin IS NULL OR origin = :origin)
    AND deleted_ms IS NULL
ORDER BY namespace, name;

-- name: versions
SELECT namespace, name, uid, generation, fingerprint FROM declared
WHERE kind = :kind AND (:namespace IS NULL OR namespace = :namespace) AND (:origin IS NULL OR origin = :origin)
    AND deleted_ms IS NULL;

-- name: made
SELECT count(*) AS count, coalesce(sum(length(spec)), 0) AS bytes
FROM declared WHERE kind = ? AND namespace = ? AND origin = 'Api';

-- name: many
SELECT d.* FROM json_each(?) AS ref
CROSS JOIN declared AS d
    ON d.kind = ref.value ->> 0 AND d.namespace = ref.value ->> 1 AND d.name = ref.value ->> 2
WHERE d.deleted_ms IS NULL;

-- name: many_without_bodies
-- A body that is worth it is taken out before it is decoded: hundreds of KiB that nobody asked for.
SELECT d.kind, d.namespace, d.name, d.uid, d.generation, d.fingerprint, d.created_ms, d.applied_ms, d.rejected, d.labels,
    d.run_now, d.last_slot_ms, d.origin, iif(
        d.kind = 'Schedule' AND d.rejected = 0 AND length(d.spec) > 4096,
        CAST(json_remove(CAST(d.spec AS TEXT), '$.body') AS BLOB),
        d.spec
    ) AS spec
FROM json_each(?) AS ref
CROSS JOIN declared AS d
    ON d.kind = ref.value ->> 0 AND d.namespace = ref.value ->> 1 AND d.name = ref.value ->> 2
WHERE d.deleted_ms IS NULL;

-- name: matching
-- Endpoints that carry every one of the labels.
SELECT * FROM declared AS d
WHERE d.kind = 'Endpoint' AND d.namespace = :namespace AND d.deleted_ms IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:labels) AS wanted
        WHERE json_extract(d.labels, '$."' || wanted.key || '"') IS NOT wanted.value
    )
ORDER BY d.name;

-- name: dependents
SELECT DISTINCT m.kind, m.namespace, m.name FROM json_each(?) AS ref
CROSS JOIN mentions AS m
    ON m.namespace = ref.value ->> 1 AND m.target_kind = ref.value ->> 0 AND m.target_name IN (ref.value ->> 2, '*');

-- name: put
INSERT INTO declared (
    kind, namespace, name, uid, generation, fingerprint, created_ms, applied_ms,
    held, rejected, labels, run_now, last_slot_ms, spec, origin
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (kind, namespace, name) DO UPDATE SET
    uid = excluded.uid, generation = excluded.generation, fingerprint = excluded.fingerprint,
    created_ms = excluded.created_ms, applied_ms = excluded.applied_ms, deleted_ms = NULL,
    held = excluded.held, rejected = excluded.rejected, labels = excluded.labels, run_now = excluded.run_now,
    last_slot_ms = excluded.last_slot_ms, spec = excluded.spec, origin = excluded.origin;

-- name: forget_mentions
DELETE FROM mentions WHERE kind = ? AND namespace = ? AND name = ?;

-- name: mention
INSERT OR IGNORE INTO mentions (namespace, target_kind, target_name, kind, name) VALUES (?, ?, ?, ?, ?);

-- name: bury
-- A deleted Endpoint stays as a tombstone that holds its messages back.
UPDATE declared SET deleted_ms = ?, held = 1 WHERE seq = ?;

-- name: delete
DELETE FROM declared WHERE seq = ?;

-- name: in_queue
-- Whether the queue has a message that has not ended.
SELECT 1 FROM messages WHERE namespace = ? AND queue = ? AND finished_ms IS NULL LIMIT 1;

-- name: schedule
SELECT * FROM schedules WHERE uid = ?;

-- name: begin_schedule
-- A uid that was removed and is back goes on numbering its runs.
INSERT INTO schedules (
    uid, namespace, name, considered_ms, wake_ms, run_now_seen, skipped, completed, runs, last_slot_ms
) VALUES (
    :uid, :namespace, :name, :considered_ms, :wake_ms, :run_now_seen, 0, :completed,
    (SELECT coalesce(max(number), 0) FROM runs WHERE schedule_uid = :uid), :last_slot_ms
);

-- name: change_schedule
UPDATE schedules SET considered_ms = ?, wake_ms = ?, completed = ? WHERE uid = ?;

-- name: end_schedule
DELETE FROM schedules WHERE namespace = ? AND name = ?;

-- name: unlist_runs
UPDATE runs SET listed = 0 WHERE schedule_uid = ? AND listed = 1;
