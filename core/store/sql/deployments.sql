-- name: release_deployed
-- First half of a deploy; in one statement with the second, the partial unique index would fail by row order.
SELECT release_deployed($1, $2, $3, $4, $5, $6);

-- name: promote_version
-- Second half of a deploy. A Draft gets the name $6, anything else keeps its own.
SELECT v.id, v.digest, v.name, v.deployed_at FROM promote_version($1, $2, $3, $4, $5, $6, $7, $8) v;

-- name: deploy_at_once
-- Both for a kept version, and the version as its dialect shows it, where there is nothing to decide; no row where there
-- is, and nothing is done.
SELECT v.id, v.revision, /* shown */ ''::bytea AS shown
FROM deploy_at_once($1, $2, $3, $4, $5, $6, $7, $8) v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id;

-- name: names_beginning
-- The names a flow has already used that are $3, or $3 with a hyphen and more; $3 has no wildcards.
SELECT name FROM flow_versions
WHERE flow_id = $2 AND company_id = $1 AND (name = $3 OR name LIKE $3 || '-%');

-- name: plan_deploy
-- Says when a version shall be deployed. The flow is locked and no other version of it is pending.
UPDATE flow_versions
SET deploy_at = $3, revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $4, updated_by_id = $5
WHERE id = $2 AND company_id = $1;

-- name: cancel_pending
-- Takes back the flow's pending deploy, unless it is that of the version $3, which is being carried out or said anew.
UPDATE flow_versions
SET deploy_at = NULL, revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $4, updated_by_id = $5
WHERE flow_id = $2 AND company_id = $1 AND deploy_at IS NOT NULL AND id <> $3
RETURNING id;

-- name: list_due
-- Deploys whose instant has come, the earliest first. Nobody is locked: whoever carries one out locks its flow and looks
-- again.
SELECT v.company_id, v.flow_id, v.id AS version_id, v.deploy_at
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id AND f.removing_since IS NULL
WHERE v.deploy_at <= (SELECT clock_timestamp())
ORDER BY v.deploy_at, v.id
LIMIT $1;

-- name: next_due_in
-- Seconds until the next deploy is due; null if none is pending.
SELECT extract(epoch FROM min(deploy_at) - clock_timestamp())::float8 FROM flow_versions WHERE deploy_at IS NOT NULL;
