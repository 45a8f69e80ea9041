-- name: create_own_key
-- Another key, which signs from this commit on. Two made at the same time both verify, and one of them signs.
INSERT INTO artifact_keys (kid, origin, public, secret) VALUES ($1, 'own', $2, $3) RETURNING id;

-- name: forget_secrets
-- Those that no longer sign cannot be made to: only their public halves are kept. $1 still signs.
UPDATE artifact_keys SET secret = NULL WHERE origin = 'own' AND id <> $1 AND secret IS NOT NULL;

-- name: trust_key
-- The public key of another installation, whose files can be brought in from now on. One of our own stays our own.
INSERT INTO artifact_keys (kid, origin, public) VALUES ($1, 'trusted', $2)
ON CONFLICT (kid) DO NOTHING
RETURNING id;

-- name: find_signing_key
-- What signs now. No row: there is no key yet, or all were revoked.
SELECT kid, secret FROM artifact_keys WHERE secret IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: list_artifact_keys
-- All there are, newest first, without their secrets.
SELECT id, kid, origin, public, secret IS NOT NULL AS signs, created_at, revoked_at FROM artifact_keys ORDER BY id DESC;

-- name: revoke_artifact_key
-- From this commit on nothing it has signed is taken, and it signs nothing.
UPDATE artifact_keys SET secret = NULL, revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING id;
