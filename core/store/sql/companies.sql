-- name: create_company
-- A new tenant.
INSERT INTO companies (name, parent_id) VALUES ($1, $2) RETURNING id;

-- name: list_companies
-- All tenants, for the command line only; no request ever sees more than its own.
SELECT id, parent_id, name, rate_limit, created_at FROM companies ORDER BY id;

-- name: find_company_by_name
-- The oldest company of that name; the demo company is looked up this way.
SELECT id FROM companies WHERE name = $1 ORDER BY id LIMIT 1;

-- name: read_company
-- The one that asks.
SELECT id, name, runner_url, rate_limit, revision, created_at FROM companies WHERE id = $1;

-- name: lock_company
-- Locked so that what is said to have been there before was; what refers to a company is not kept from doing so.
SELECT id, name, runner_url, rate_limit, revision, created_at FROM companies WHERE id = $1 FOR NO KEY UPDATE;

-- name: set_runner
-- Where its flows run, unless they say otherwise.
UPDATE companies SET runner_url = $2, revision = revision + 1 WHERE id = $1
RETURNING id, name, runner_url, rate_limit, revision, created_at;

-- name: set_rate_limit
-- Requests a minute from this commit on; null: what the installation allows, 0: any number.
UPDATE companies SET rate_limit = $2 WHERE id = $1 RETURNING id;

-- name: create_webhook_secret
-- What will sign this company's callbacks from now on.
INSERT INTO webhook_secrets (company_id, secret) VALUES ($1, $2) RETURNING id;

-- name: list_webhook_secrets
-- Newest first: all of them sign, so that receivers can change over one by one.
SELECT id, secret, created_at FROM webhook_secrets WHERE company_id = $1 ORDER BY id DESC LIMIT 2;

-- name: read_names
-- What a letter calls the company and the flow; a flow that has been removed is looked up in the trash.
SELECT c.name AS company, coalesce(f.name, d.name) AS flow
FROM companies c
LEFT JOIN flows f ON f.id = $2 AND f.company_id = c.id
LEFT JOIN deleted_flows d ON d.id = $2 AND d.company_id = c.id
WHERE c.id = $1;
