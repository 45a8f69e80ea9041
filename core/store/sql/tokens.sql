-- name: create_application_token
-- Stores a token by its digest; the token itself is shown once and kept nowhere.
INSERT INTO application_tokens (company_id, application_id, name, prefix, digest, scopes, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING id;

-- name: list_application_tokens
-- An application's tokens, for the command line.
SELECT id, name, prefix, scopes, active, expires_at, created_at, revoked_at
FROM application_tokens
WHERE application_id = $1
ORDER BY id;

-- name: revoke_application_token
-- From this commit on the token opens nothing. Revoking twice changes nothing.
UPDATE application_tokens SET revoked_at = clock_timestamp()
WHERE id = $1 AND revoked_at IS NULL
RETURNING company_id;

-- name: revoke_application_tokens
-- The same for all of an application, or with null for all of a company.
UPDATE application_tokens SET revoked_at = clock_timestamp()
WHERE company_id = $1 AND ($2::bigint IS NULL OR application_id = $2) AND revoked_at IS NULL
RETURNING id;

-- name: set_token_active
-- Switches a token off or on; a revoked one stays closed.
UPDATE application_tokens SET active = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING company_id;

-- name: find_caller
-- Who shows a token or a key, if it opens anything at all.
SELECT * FROM open_caller($1, $2, NULL, NULL);

-- name: create_api_key
-- Stores a company's key by its digest.
INSERT INTO api_keys (company_id, name, prefix, digest) VALUES ($1, $2, $3, $4) RETURNING id;

-- name: list_api_keys
-- A company's keys, for the command line.
SELECT id, name, prefix, created_at, last_used_at, revoked_at FROM api_keys WHERE company_id = $1 ORDER BY id;

-- name: revoke_api_key
-- From this commit on the key opens nothing. Revoking twice changes nothing.
UPDATE api_keys SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING company_id;

-- name: revoke_api_keys
-- The same for all of a company.
UPDATE api_keys SET revoked_at = clock_timestamp() WHERE company_id = $1 AND revoked_at IS NULL RETURNING id;

-- name: note_key_use
-- The condition stands here once more: of many requests that find the note old at the same time one writes, and the
-- others do not wait for it.
UPDATE api_keys SET last_used_at = clock_timestamp()
WHERE id IN (
    SELECT id FROM api_keys
    WHERE id = $2 AND company_id = $1
      AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED
);
