-- name: all
SELECT namespace, name, hash, access FROM credentials ORDER BY namespace, name;

-- name: holder
SELECT namespace, name FROM credentials WHERE hash = ?;

-- name: put
INSERT INTO credentials (namespace, name, hash, access) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace, name) DO UPDATE SET hash = excluded.hash, access = excluded.access;

-- name: revoke
DELETE FROM credentials WHERE namespace = ? AND name = ?;

-- name: all_keys
SELECT namespace, current, next, adopted FROM signing_keys;

-- name: keys
SELECT current, next, adopted FROM signing_keys WHERE namespace = ?;

-- name: put_keys
INSERT INTO signing_keys (namespace, current, next, adopted) VALUES (?, ?, ?, ?)
ON CONFLICT (namespace) DO UPDATE SET current = excluded.current, next = excluded.next, adopted = excluded.adopted;
