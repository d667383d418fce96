-- name: newest
-- The highest number ever given, whatever was deleted since.
SELECT seq FROM sqlite_sequence WHERE name = 'dead_letters';

-- name: insert
INSERT INTO dead_letters (
    seq, namespace, created_ms, message, url, error, response_status, response_headers, response_body
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: left
-- A number is never given to another letter.
SELECT l.seq FROM json_each(?) AS given
CROSS JOIN dead_letters AS l ON l.seq = given.value
CROSS JOIN messages AS m ON m.seq = l.message;

-- name: delete
DELETE FROM dead_letters WHERE seq IN (SELECT value FROM json_each(?));

-- name: messages
-- As message_rows, in the order asked for.
SELECT m.* FROM json_each(?) AS wanted
CROSS JOIN message_rows AS m ON m.seq = wanted.value
ORDER BY wanted.key;
