-- name: newest
SELECT coalesce(max(seq), 0) AS seq FROM messages;

-- name: insert
INSERT INTO messages (
    seq, id, namespace, lane, url, endpoint, endpoint_name, topic, schedule, run, labels, caller_ip, method, headers,
    timeout_ms, max_retries, retry_delay, created_ms, not_before_ms, queue, flow, source, extras,
    state, retried, due_ms, lease, owner, lease_until, queued, joined_ms
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?);

-- name: insert_plain
-- A message to a URL that has no more than what every message of a publisher, or of a Topic, has.
INSERT INTO messages (
    seq, id, namespace, lane, url, endpoint_name, topic, caller_ip, method, headers, timeout_ms, max_retries,
    created_ms, not_before_ms, state, retried, due_ms, lease, owner, lease_until
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?);

-- name: insert_body
INSERT INTO bodies (message, body) VALUES (?, ?);

-- name: insert_log
INSERT INTO log (
    namespace, time_ms, state, message, url, error, next_ms, response_status, response_headers, response_body
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_step
-- An entry that only says that a state was reached.
INSERT INTO log (namespace, time_ms, state, message, url, error) VALUES (?, ?, ?, ?, ?, '');

-- name: insert_attempt
INSERT OR REPLACE INTO attempts (message, number, time_ms, duration_us, status, error) VALUES (?, ?, ?, ?, ?, ?);

-- name: due_lanes
-- Lanes with a due message that nothing holds back, the oldest message first. A window that is to end later than it can was begun
-- before the clock was set back.
SELECT l.lane, l.namespace, l.destination, l.flow FROM lanes AS l
WHERE l.due_ms <= :now
    AND l.destination NOT IN (SELECT value FROM json_each(:closed))
    AND (l.endpoint IS NULL OR EXISTS (
        SELECT 1 FROM declared AS d
        WHERE d.kind = 'Endpoint' AND d.namespace = l.namespace AND d.name = l.endpoint AND d.held = 0
    ))
    AND (l.flow IS NULL OR NOT EXISTS (
        SELECT 1 FROM flow_controls AS f
        WHERE f.namespace = l.namespace AND f.key = l.flow
            AND (f.opens_ms IS NULL OR f.opens_ms > :now AND f.opens_ms <= :now + f.period_ms + :skew)
    ))
ORDER BY l.due_ms, l.seq;

-- name: next_due
-- Not those that a flow-control key keeps waiting beyond their due time.
SELECT l.due_ms FROM lanes AS l
WHERE l.due_ms > :now
    AND (l.endpoint IS NULL OR EXISTS (
        SELECT 1 FROM declared AS d
        WHERE d.kind = 'Endpoint' AND d.namespace = l.namespace AND d.name = l.endpoint AND d.held = 0
    ))
    AND (l.flow IS NULL OR NOT EXISTS (
        SELECT 1 FROM flow_controls AS f
        WHERE f.namespace = l.namespace AND f.key = l.flow AND (f.opens_ms IS NULL OR f.opens_ms > l.due_ms)
    ))
ORDER BY l.due_ms LIMIT 1;

-- name: due_of_lane
-- One row, an array of objects. The length of a body is told without reading it.
SELECT json_group_array(json_object('due_ms', due_ms, 'seq', seq, 'size', size)) FROM (
    SELECT m.due_ms, m.seq, coalesce((SELECT length(b.body) FROM bodies AS b WHERE b.message = m.seq), 0) AS size
    FROM messages AS m
    WHERE m.lane = :lane AND m.state IN ('Waiting', 'Retrying') AND m.queued = 0 AND m.due_ms <= :now
        AND (m.due_ms, m.seq) > (:due_ms, :seq)
    ORDER BY m.due_ms, m.seq LIMIT :most
);

-- name: lease
UPDATE messages SET state = 'Delivering', lease = lease + 1, owner = :owner, lease_until = :until
WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: leased
-- One row: an array of objects, and their bodies one behind the other.
SELECT
    json_group_array(json_object(
        'seq', seq, 'id', id, 'namespace', namespace, 'lane', lane, 'url', url, 'endpoint', endpoint,
        'endpoint_name', endpoint_name, 'topic', topic, 'schedule', schedule, 'labels', labels, 'caller_ip', caller_ip,
        'method', method, 'headers', CAST(headers AS TEXT), 'timeout_ms', timeout_ms, 'max_retries', max_retries,
        'retry_delay', retry_delay, 'created_ms', created_ms, 'not_before_ms', not_before_ms, 'retried', retried,
        'lease', lease, 'queue', queue, 'flow', flow, 'source', source, 'extras', CAST(extras AS TEXT),
        'run_id', run_id, 'schedule_uid', schedule_uid, 'slot_ms', slot_ms, 'trigger', trigger,
        'rejected', rejected, 'spec', CAST(spec AS TEXT), 'size', coalesce(length(body), 0)
    )) AS objects,
    CAST(group_concat(body, '') AS BLOB) AS bodies
FROM (
    SELECT m.*, d.rejected, d.spec FROM json_each(?) AS wanted
    CROSS JOIN message_rows AS m ON m.seq = wanted.value
    LEFT JOIN declared AS d ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint
    ORDER BY wanted.key
);

-- name: expired
SELECT seq, namespace, lane, flow, endpoint FROM messages
WHERE state = 'Delivering' AND owner = :owner AND lease_until < :now;

-- name: foreign
SELECT seq, namespace, lane, flow, endpoint FROM messages WHERE state = 'Delivering' AND owner <> :owner;

-- name: unlease
-- Due at once: the due time has passed, or it would not have been leased.
UPDATE messages SET state = iif(retried > 0, 'Retrying', 'Waiting'), owner = NULL, lease_until = NULL
WHERE seq IN (SELECT value FROM json_each(?));

-- name: held_by_lease
-- Rows of the parameter: [id, lease]. One row, an array of objects.
SELECT json_group_array(json_object(
    'id', m.id, 'lease', m.lease, 'seq', m.seq, 'namespace', m.namespace, 'run', m.run, 'lane', m.lane,
    'queue', m.queue, 'queued', m.queued, 'flow', m.flow, 'endpoint', m.endpoint, 'state', m.state, 'source', m.source
))
FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.id = given.value ->> 0
WHERE m.lease = given.value ->> 1 AND m.state = 'Delivering';

-- name: bound_now
-- Messages that are known, by their ids, with the Endpoint as it is declared now.
SELECT json_group_array(json_object(
    'id', m.id, 'lease', m.lease, 'seq', m.seq, 'state', m.state, 'finished_ms', m.finished_ms,
    'rejected', d.rejected, 'spec', CAST(d.spec AS TEXT)
))
FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.id = given.value
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL;

-- name: renew
UPDATE messages SET lease_until = :until WHERE seq IN (SELECT value FROM json_each(:seqs));

-- name: forget_activity
-- The newest log entries say that an attempt runs; none did.
DELETE FROM log WHERE id IN (
    SELECT (SELECT max(l.id) FROM log AS l WHERE l.message = given.value) FROM json_each(?) AS given
) AND state = 'ACTIVE';

-- name: change
-- Rows of the parameter: [seq, state, retried, due_ms, finished_ms]; a NULL due_ms leaves it.
UPDATE messages SET
    state = given.value ->> 1,
    retried = given.value ->> 2,
    due_ms = coalesce(given.value ->> 3, due_ms),
    queued = iif(given.value ->> 4 IS NULL, queued, 0),
    finished_ms = given.value ->> 4,
    aging_ms = given.value ->> 4,
    owner = NULL,
    lease_until = NULL
FROM json_each(?) AS given
WHERE messages.seq = given.value ->> 0;

-- name: note_delivery
-- A new Endpoint under the name of an old one begins at zero. What went to another URL than the one declared now says
-- nothing of the Endpoint as it is.
INSERT INTO endpoint_stats (
    namespace, name, uid, failures, message_id, number, time_ms, duration_us, status, error
)
SELECT d.namespace, d.name, d.uid, :failures, :message_id, :number, :time_ms, :duration_us, :status, :error
FROM declared AS d
WHERE d.kind = 'Endpoint' AND d.namespace = :namespace AND d.name = :name AND d.deleted_ms IS NULL
    AND CAST(d.spec AS TEXT) ->> 'url' = :url
ON CONFLICT (namespace, name) DO UPDATE SET
    failures = iif(:delivered OR uid <> excluded.uid, 0, failures) + excluded.failures,
    uid = excluded.uid, message_id = excluded.message_id, number = excluded.number, time_ms = excluded.time_ms,
    duration_us = excluded.duration_us, status = excluded.status, error = excluded.error;

-- name: live_of_run
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source, m.retried, m.url
FROM messages AS m
WHERE m.run = ? AND m.finished_ms IS NULL ORDER BY m.seq;
