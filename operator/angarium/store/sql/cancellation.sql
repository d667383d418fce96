-- name: matching
-- What live messages are asked, wherever they are looked for; NULL: no condition. Put into the statements below.
    AND m.created_ms BETWEEN :since AND :until
    AND (:topics IS NULL OR m.topic IN (SELECT value FROM json_each(:topics)))
    AND (:schedules IS NULL OR m.schedule IN (SELECT value FROM json_each(:schedules)))
    AND (:queues IS NULL OR m.queue IN (SELECT value FROM json_each(:queues)))
    AND (:flow_keys IS NULL OR m.flow IN (SELECT value FROM json_each(:flow_keys)))
    AND (:caller_ips IS NULL OR m.caller_ip IN (SELECT value FROM json_each(:caller_ips)))
    AND (:labels IS NULL OR EXISTS (
        SELECT 1 FROM json_each(m.labels) WHERE value IN (SELECT value FROM json_each(:labels))
    ))
    AND (:urls IS NULL OR $url IN (SELECT value FROM json_each(:urls)))
    AND (:hosts IS NULL OR EXISTS (
        SELECT 1 FROM json_each(:hosts) WHERE value IN (url_host($url), url_netloc($url))
    ))
    AND (:paths IS NULL OR url_path($url) IN (SELECT value FROM json_each(:paths)))
LIMIT :limit;

-- name: url
-- What a message resolves to now.
coalesce(m.url, CAST(d.spec AS TEXT) ->> 'url', 'endpoint:' || m.endpoint);

-- name: waiting
-- Lanes are '<namespace>/<lane>', and '0' follows '/'.
SELECT m.seq FROM lanes AS l
CROSS JOIN messages AS m ON m.lane = l.lane AND m.state IN ('Waiting', 'Retrying') AND m.queued = 0
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL
        AND d.rejected = 0
WHERE l.lane BETWEEN :namespace || '/' AND :namespace || '0' AND l.namespace = :namespace
    $matching;

-- name: queued
SELECT m.seq FROM messages AS m
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL
        AND d.rejected = 0
WHERE m.namespace = :namespace AND m.queued = 1
    $matching;

-- name: delivering
SELECT m.seq FROM messages AS m
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL
        AND d.rejected = 0
WHERE m.state = 'Delivering' AND m.namespace = :namespace
    $matching;

-- name: live
-- Of these messages, those that have not ended: a number that was read may have become free since.
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source,
    m.retried, m.url
FROM json_each(:seqs) AS given
CROSS JOIN messages AS m ON m.seq = given.value
WHERE m.namespace = :namespace AND m.finished_ms IS NULL;

-- name: schedules_of
SELECT DISTINCT schedule FROM runs WHERE seq IN (SELECT value FROM json_each(?));

-- name: live_by_id
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source,
    m.retried, m.url
FROM json_each(?) AS given
CROSS JOIN messages AS m ON m.id = given.value
WHERE m.finished_ms IS NULL;

-- name: live_in_queue
-- Those without a place first: as long as they go, nobody is let in.
SELECT m.seq, m.id, m.namespace, m.run, m.lane, m.queue, m.queued, m.flow, m.endpoint, m.state, m.source,
    m.retried, m.url
FROM messages AS m
WHERE m.namespace = ? AND m.queue = ? AND m.finished_ms IS NULL
ORDER BY m.queued DESC, m.seq DESC LIMIT ?;
