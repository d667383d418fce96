-- name: message
SELECT m.*, d.kind, d.rejected, d.spec
FROM message_rows AS m
LEFT JOIN declared AS d
    ON d.kind = 'Endpoint' AND d.namespace = m.namespace AND d.name = m.endpoint AND d.deleted_ms IS NULL
WHERE m.id = :id AND m.namespace = :namespace AND (m.finished_ms IS NULL OR m.finished_ms >= :oldest);

-- name: conditions
-- What log entries and dead letters are asked alike; NULL: no condition. Put into the statements below.
-- `likelihood`: else so few rows are expected to remain that sorting them seems as good as reading them in order.
    AND l.$time BETWEEN :since AND :until
    AND (l.$time, l.$id) $beyond (:time_ms, :position)
    AND likelihood(:urls IS NULL OR l.url IN (SELECT value FROM json_each(:urls)), 1.0)
    AND likelihood(:statuses IS NULL OR coalesce(l.response_status, 0) IN (SELECT value FROM json_each(:statuses)), 1.0)
    AND (:hosts IS NULL OR EXISTS (
        SELECT 1 FROM json_each(:hosts) WHERE value IN (url_host(l.url), url_netloc(l.url))
    ))
    AND likelihood(:paths IS NULL OR url_path(l.url) IN (SELECT value FROM json_each(:paths)), 1.0)
    AND likelihood(:topics IS NULL OR m.topic IN (SELECT value FROM json_each(:topics)), 1.0)
    AND likelihood(:schedules IS NULL OR m.schedule IN (SELECT value FROM json_each(:schedules)), 1.0)
    AND likelihood(:queues IS NULL OR m.queue IN (SELECT value FROM json_each(:queues)), 1.0)
    AND likelihood(:flow_keys IS NULL OR m.flow IN (SELECT value FROM json_each(:flow_keys)), 1.0)
    AND likelihood(:caller_ips IS NULL OR m.caller_ip IN (SELECT value FROM json_each(:caller_ips)), 1.0)
    AND (:labels IS NULL OR EXISTS (
        SELECT 1 FROM json_each(m.labels) WHERE value IN (SELECT value FROM json_each(:labels))
    ))
ORDER BY l.$time $order, l.$id $order
LIMIT :limit;

-- name: log
SELECT m.*, l.id AS log_id, l.time_ms, l.state AS log_state, l.url AS log_url, l.error, l.next_ms,
    l.response_status, l.response_headers, l.response_body
FROM log AS l
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    AND (:states IS NULL OR l.state IN (SELECT value FROM json_each(:states)))
    $conditions;

-- name: log_of_messages
-- The "+" keeps the index over time out of it, by which the whole log would be read for each message.
SELECT m.*, l.id AS log_id, l.time_ms, l.state AS log_state, l.url AS log_url, l.error, l.next_ms,
    l.response_status, l.response_headers, l.response_body
FROM json_each(:messages) AS wanted
CROSS JOIN message_rows AS m ON m.id = wanted.value
CROSS JOIN log AS l ON l.message = m.seq
WHERE +l.namespace = :namespace
    AND (:states IS NULL OR l.state IN (SELECT value FROM json_each(:states)))
    $conditions;

-- name: dead_letters
SELECT m.*, l.seq AS letter, l.created_ms AS time_ms, l.url AS letter_url, l.error,
    l.response_status, l.response_headers, l.response_body
FROM dead_letters AS l
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    $conditions;

-- name: dead_letters_of_messages
SELECT m.*, l.seq AS letter, l.created_ms AS time_ms, l.url AS letter_url, l.error,
    l.response_status, l.response_headers, l.response_body
FROM json_each(:messages) AS wanted
CROSS JOIN message_rows AS m ON m.id = wanted.value
CROSS JOIN dead_letters AS l ON l.message = m.seq
WHERE l.namespace = :namespace
    $conditions;

-- name: dead_letters_by_id
-- Rows of :letters: [created_ms, seq], the two parts of an id.
SELECT m.*, l.seq AS letter, l.created_ms AS time_ms, l.url AS letter_url, l.error,
    l.response_status, l.response_headers, l.response_body
FROM json_each(:letters) AS wanted
CROSS JOIN dead_letters AS l ON l.seq = wanted.value ->> 1 AND l.created_ms = wanted.value ->> 0
CROSS JOIN message_rows AS m ON m.seq = l.message
WHERE l.namespace = :namespace
    $conditions;
