-- name: message
SELECT m.*, d.kind, d.rejected, d.spec
FROM message_rows AS m
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL
WHERE m.id = :id AND m.namespace = :namespace AND (m.finished_ms IS NULL OR m.finished_ms >= :oldest);

-- name: log
-- $order and $beyond depend on the direction only.
SELECT m.*, l.id AS log_id, l.time_ms, l.state AS log_state, l.url AS log_url, l.error, l.next_ms,
    l.response_status, l.response_headers, l.response_body
FROM log AS l
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    AND l.time_ms BETWEEN :since AND :until
    AND (l.time_ms, l.id) $beyond (:time_ms, :position)
    AND (:states IS NULL OR l.state IN (SELECT value FROM json_each(:states)))
    AND (:urls IS NULL OR l.url IN (SELECT value FROM json_each(:urls)))
    AND (:statuses IS NULL OR coalesce(l.response_status, 0) IN (SELECT value FROM json_each(:statuses)))
    AND (:hosts IS NULL OR EXISTS (
        SELECT 1 FROM json_each(:hosts) WHERE value IN (url_host(l.url), url_netloc(l.url))
    ))
    AND (:paths IS NULL OR url_path(l.url) IN (SELECT value FROM json_each(:paths)))
    AND (:topics IS NULL OR m.topic IN (SELECT value FROM json_each(:topics)))
    AND (:schedules IS NULL OR m.schedule IN (SELECT value FROM json_each(:schedules)))
    AND (:caller_ips IS NULL OR m.caller_ip IN (SELECT value FROM json_each(:caller_ips)))
    AND (:labels IS NULL OR EXISTS (
        SELECT 1 FROM json_each(m.labels) WHERE value IN (SELECT value FROM json_each(:labels))
    ))
ORDER BY l.time_ms $order, l.id $order
LIMIT :limit;

-- name: log_of_messages
SELECT m.*, l.id AS log_id, l.time_ms, l.state AS log_state, l.url AS log_url, l.error, l.next_ms,
    l.response_status, l.response_headers, l.response_body
FROM json_each(:ids) AS wanted
CROSS JOIN message_rows AS m ON m.id = wanted.value
CROSS JOIN log AS l ON l.message = m.seq
WHERE l.namespace = :namespace
    AND (:states IS NULL OR l.state IN (SELECT value FROM json_each(:states)))
ORDER BY l.time_ms $order, l.id $order;

-- name: dead_letters
SELECT m.*, l.seq AS letter, l.created_ms AS time_ms, l.url AS letter_url, l.error,
    l.response_status, l.response_headers, l.response_body
FROM dead_letters AS l
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    AND l.created_ms BETWEEN :since AND :until
    AND (l.created_ms, l.seq) $beyond (:time_ms, :position)
    AND (:urls IS NULL OR l.url IN (SELECT value FROM json_each(:urls)))
    AND (:statuses IS NULL OR coalesce(l.response_status, 0) IN (SELECT value FROM json_each(:statuses)))
    AND (:hosts IS NULL OR EXISTS (
        SELECT 1 FROM json_each(:hosts) WHERE value IN (url_host(l.url), url_netloc(l.url))
    ))
    AND (:paths IS NULL OR url_path(l.url) IN (SELECT value FROM json_each(:paths)))
    AND (:topics IS NULL OR m.topic IN (SELECT value FROM json_each(:topics)))
    AND (:schedules IS NULL OR m.schedule IN (SELECT value FROM json_each(:schedules)))
    AND (:caller_ips IS NULL OR m.caller_ip IN (SELECT value FROM json_each(:caller_ips)))
    AND (:labels IS NULL OR EXISTS (
        SELECT 1 FROM json_each(m.labels) WHERE value IN (SELECT value FROM json_each(:labels))
    ))
ORDER BY l.created_ms $order, l.seq $order
LIMIT :limit;

-- name: dead_letters_by_id
SELECT m.*, l.seq AS letter, l.created_ms AS time_ms, l.url AS letter_url, l.error,
    l.response_status, l.response_headers, l.response_body
FROM dead_letters AS l
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    AND l.seq IN (
        SELECT seq FROM dead_letters
        WHERE seq IN (SELECT value ->> 1 FROM json_each(:letters))
        UNION
        SELECT found.seq FROM json_each(:messages) AS wanted
        CROSS JOIN messages AS named ON named.id = wanted.value
        CROSS JOIN dead_letters AS found ON found.message = named.seq
    )
ORDER BY l.created_ms $order, l.seq $order;
