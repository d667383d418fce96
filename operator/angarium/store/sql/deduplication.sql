-- name: first
-- A window that is to end later than one that begins now was begun before the clock was set back, and counts no more.
SELECT message_id, url FROM deduplication
WHERE namespace = :namespace AND key = :key AND expires_ms > :now AND expires_ms <= :latest;

-- name: forget
DELETE FROM deduplication
WHERE namespace = :namespace AND key = :key AND NOT (expires_ms > :now AND expires_ms <= :latest);

-- name: insert
INSERT INTO deduplication (namespace, key, message_id, url, expires_ms) VALUES (?, ?, ?, ?, ?);

-- name: purge
DELETE FROM deduplication WHERE (namespace, key) IN (
    SELECT namespace, key FROM deduplication WHERE expires_ms <= :now ORDER BY expires_ms LIMIT :limit
);
