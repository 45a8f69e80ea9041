-- name: take_key
-- Takes the key for this request. A rival with the same key waits here for our commit and then gets no row.
INSERT INTO idempotency_keys (company_id, owner, key, digest) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
RETURNING key;

-- name: drop_old_key
-- A key that has outlived its window may be used again.
DELETE FROM idempotency_keys
WHERE company_id = $1 AND owner = $2 AND key = $3 AND created_at < clock_timestamp() - $4::interval;

-- name: read_key
-- What the key was used for.
SELECT digest, job_id FROM idempotency_keys WHERE company_id = $1 AND owner = $2 AND key = $3;

-- name: bind_key
-- Ties the key to the job it led to, in the same transaction.
UPDATE idempotency_keys SET job_id = $4 WHERE company_id = $1 AND owner = $2 AND key = $3;

-- name: prune_keys
-- Forgets keys past their window.
DELETE FROM idempotency_keys WHERE created_at < clock_timestamp() - $1::interval;
