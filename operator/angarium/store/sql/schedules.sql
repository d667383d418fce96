-- name: due
-- A Schedule that stands after :ahead was decided on by a wrong clock: its wake time means nothing.
SELECT d.*, s.considered_ms, s.run_now_seen, s.runs FROM schedules AS s
CROSS JOIN declared AS d ON d.kind = 'Schedule' AND d.namespace = s.namespace AND d.name = s.name
WHERE s.wake_ms <= :now OR (s.wake_ms IS NOT NULL AND s.considered_ms > :ahead)
ORDER BY s.wake_ms LIMIT :limit;

-- name: next_wake
SELECT wake_ms FROM schedules WHERE wake_ms > :now ORDER BY wake_ms LIMIT 1;

-- name: fence
SELECT s.runs FROM schedules AS s
CROSS JOIN declared AS d ON d.kind = 'Schedule' AND d.namespace = s.namespace AND d.name = s.name AND d.uid = s.uid
WHERE s.uid = :uid AND d.fingerprint = :fingerprint
    AND s.considered_ms = :considered_ms AND s.run_now_seen IS :run_now_seen;

-- name: fired_slot
SELECT 1 FROM runs WHERE schedule_uid = ? AND slot_ms = ? AND trigger = 'Slot';

-- name: fired_manually
SELECT 1 FROM runs WHERE schedule_uid = ? AND run_now IS ? AND trigger = 'Manual';

-- name: active
SELECT seq FROM runs WHERE schedule_uid = ? AND pending > 0 ORDER BY seq;

-- name: insert_run
INSERT INTO runs (id, namespace, schedule, schedule_uid, number, slot_ms, trigger, run_now, listed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)
RETURNING seq;

-- name: unlist
-- The newest runs are what a status may show; this one is too old for it now.
UPDATE runs SET listed = 0 WHERE schedule_uid = ? AND number = ? AND listed = 1;

-- name: run_started
UPDATE runs SET pending = ? WHERE seq = ?;

-- name: run_failed
UPDATE runs SET reason = ?, error = ? WHERE seq = ?;

-- name: advance
-- A last slot that lies ahead was never decided: a clock was wrong, or a status that was believed at first sight.
UPDATE schedules SET
    considered_ms = :considered_ms,
    wake_ms = :wake_ms,
    skipped = skipped + :skipped,
    completed = :completed,
    run_now_seen = :run_now_seen,
    runs = :runs,
    last_slot_ms = nullif(
        max(iif(last_slot_ms <= :considered_ms, last_slot_ms, -1), coalesce(:last_slot_ms, -1)), -1
    ),
    last_failure_ms = coalesce(:failed_ms, last_failure_ms)
WHERE uid = :uid;
