-- name: first
SELECT message_id, url FROM deduplication WHERE namespace = ? AND key = ? AND expires_ms > ?;

-- name: forget
DELETE FROM deduplication WHERE namespace = ? AND key = ? AND expires_ms <= ?;

-- name: insert
INSERT INTO deduplication (namespace, key, message_id, url, expires_ms) VALUES (?, ?, ?, ?, ?);

-- name: purge
DELETE FROM deduplication WHERE (namespace, key) IN (
    SELECT namespace, key FROM deduplication WHERE expires_ms <= :now ORDER BY expires_ms LIMIT :limit
);
