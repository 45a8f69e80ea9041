-- name: create_signing_key
-- Signs every login token from this commit on. Two made at the same time both verify, and one of them signs.
INSERT INTO signing_keys (kid, secret) VALUES ($1, $2) RETURNING id;

-- name: find_newest_key
-- What signs, and PostgreSQL's time, from which a token's is counted. No row: there is no key yet.
SELECT kid, secret, clock_timestamp() AS now FROM signing_keys ORDER BY id DESC LIMIT 1;

-- name: list_signing_keys
-- The keys there are, newest first, without their secrets.
SELECT id, kid, created_at FROM signing_keys ORDER BY id DESC;

-- name: delete_signing_key
-- From this commit on every token the key has signed opens nothing.
DELETE FROM signing_keys WHERE id = $1 RETURNING id;

-- name: prune_signing_keys
-- Those whose last token has expired: a newer key has signed for longer than a token lasts, $1.
DELETE FROM signing_keys k
WHERE EXISTS (SELECT FROM signing_keys n WHERE n.id > k.id AND n.created_at < clock_timestamp() - $1::interval);

-- name: find_bearer
-- What a login token is verified with, and who shows it, in one round trip. No row: no such key. No company: the user
-- is not there, is closed or has a later epoch. No client, where the token names one: it is revoked.
SELECT k.secret, clock_timestamp() AS now, u.company_id, u.role, o.id AS client_id, c.rate_limit
FROM signing_keys k
LEFT JOIN users u ON u.id = $2 AND u.epoch = $3 AND u.closed_at IS NULL
LEFT JOIN companies c ON c.id = u.company_id
LEFT JOIN oauth_clients o ON o.id = $4 AND o.user_id = u.id AND o.company_id = u.company_id AND o.revoked_at IS NULL
WHERE k.kid = $1;
