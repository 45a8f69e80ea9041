-- name: create_client
-- A program that may fetch tokens for one user of the company. No row: the company has no such user.
INSERT INTO oauth_clients (company_id, user_id, name, client_id, digest)
SELECT company_id, id, $3, $4, $5 FROM users WHERE id = $2 AND company_id = $1
RETURNING *;

-- name: list_clients
-- A company's programs, for the command line.
SELECT * FROM oauth_clients WHERE company_id = $1 ORDER BY id;

-- name: revoke_client
-- From this commit on neither its secret nor a token it has fetched opens anything. Revoking twice changes nothing.
UPDATE oauth_clients SET revoked_at = clock_timestamp() WHERE id = $1 AND revoked_at IS NULL RETURNING company_id;

-- name: revoke_clients
-- The same for all of a company.
UPDATE oauth_clients SET revoked_at = clock_timestamp() WHERE company_id = $1 AND revoked_at IS NULL RETURNING id;

-- name: find_client
-- What a secret is compared with, and for whom the program acts, unless either's access is closed. Nothing is locked:
-- a token names client and epoch, so one that overtakes a change here opens nothing.
SELECT c.id, c.company_id, c.digest, c.user_id, u.epoch
FROM oauth_clients c
JOIN users u ON u.id = c.user_id AND u.company_id = c.company_id AND u.closed_at IS NULL
WHERE c.client_id = $1 AND c.revoked_at IS NULL;

-- name: note_client_use
-- At most once a minute, so that a program that fetches a token for each request does not write each time.
UPDATE oauth_clients SET last_used_at = clock_timestamp()
WHERE id = $2 AND company_id = $1
  AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - interval '1 minute');
