-- name: insert_version
-- A new version. A taken name breaks flow_versions_name_key, which the caller sees as AlreadyExists.
INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, enabled, notes, body, digest,
                           created_by_type, created_by_id, updated_by_type, updated_by_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11, $12)
RETURNING *;

-- name: read_version_by_id
-- One version of a visible flow; the Draft is the flow's own content and has no address here.
SELECT v.*, f.application_id, f.flow_class
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.id = $4 AND v.flow_id = $3 AND v.status <> 'Draft'
  AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL;

-- name: read_version_by_name
-- The same by name.
SELECT v.*, f.application_id, f.flow_class
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.name = $4 AND v.flow_id = $3
  AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL;

-- name: lock_version_by_id
-- For a change of one version, after its flow was locked. Decide in a later statement: a wait here may end with
-- another row than the one it began with.
SELECT id FROM flow_versions
WHERE id = $3 AND flow_id = $2 AND company_id = $1 AND status <> 'Draft'
FOR NO KEY UPDATE;

-- name: lock_version_by_name
-- The same by name.
SELECT id FROM flow_versions
WHERE name = $3 AND flow_id = $2 AND company_id = $1
FOR NO KEY UPDATE;

-- name: read_locked_version
-- The version as it stands now that it is locked.
SELECT * FROM flow_versions WHERE id = $2 AND company_id = $1;

-- name: replace_version
-- New content under an old name: id and creation date stay, the revision rises.
UPDATE flow_versions
SET enabled = $3, notes = $4, body = $5, digest = $6, revision = revision + 1,
    updated_at = clock_timestamp(), updated_by_type = $7, updated_by_id = $8
WHERE id = $2 AND company_id = $1
RETURNING *;

-- name: demote_deployed
-- First half of a deploy; in one statement with the second, the partial unique index would fail by row order.
UPDATE flow_versions
SET status = 'Inactive', deployed_at = NULL, revision = revision + 1,
    updated_at = clock_timestamp(), updated_by_type = $3, updated_by_id = $4
WHERE flow_id = $2 AND company_id = $1 AND status = 'Deployed'
RETURNING id, digest;

-- name: promote_version
-- Second half of a deploy.
UPDATE flow_versions
SET status = 'Deployed', deployed_at = clock_timestamp(), last_deployed_at = clock_timestamp(), deploy_at = NULL,
    revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $3, updated_by_id = $4
WHERE id = $2 AND company_id = $1
RETURNING id, digest;

-- name: delete_version
-- Moves one version to the trash, unless it is protected; the conditions stand in the deleting statement so that a
-- deploy that commits first wins.
WITH moved AS (
    DELETE FROM flow_versions v
    WHERE v.id = $2 AND v.company_id = $1 AND v.status = 'Inactive' AND v.deploy_at IS NULL
    RETURNING v.*
)
INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded, status,
                              enabled, notes, body, digest, revision, last_deployed_at, created_at, updated_at,
                              created_by_type, created_by_id, updated_by_type, updated_by_id, purge_after)
SELECT id, company_id, flow_id, NULL, 'deleted', iteration, name, name_folded, status, enabled, notes,
       body, digest, revision, last_deployed_at, created_at, updated_at,
       created_by_type, created_by_id, updated_by_type, updated_by_id, clock_timestamp() + $3::interval
FROM moved
RETURNING version_id;

-- name: keep_replaced
-- Puts a copy of a version's content into the trash just before it is replaced.
INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded, status,
                              enabled, notes, body, digest, revision, last_deployed_at, created_at, updated_at,
                              created_by_type, created_by_id, updated_by_type, updated_by_id, purge_after)
SELECT id, company_id, flow_id, NULL, 'replaced', iteration, name, name_folded, status, enabled, notes,
       body, digest, revision, last_deployed_at, created_at, updated_at,
       created_by_type, created_by_id, updated_by_type, updated_by_id, clock_timestamp() + $3::interval
FROM flow_versions WHERE id = $2 AND company_id = $1;

-- name: delete_batch
-- Moves one batch of a bulk delete to the trash and says which it left. Every protecting condition is judged on
-- the row as it is when its lock is held, so a version patched or deployed in the meantime stays; $6 lets the removal
-- of a whole flow take its Draft along.
WITH target AS (
    SELECT id, revision FROM unnest($3::bigint[], $4::integer[]) AS pair (id, revision)
), moved AS (
    DELETE FROM flow_versions v
    USING target t
    WHERE v.id = t.id AND v.revision = t.revision AND v.company_id = $1 AND v.flow_id = $2
      AND v.deploy_at IS NULL AND (v.status = 'Inactive' OR ($6 = 'flow_deleted' AND v.status = 'Draft'))
    RETURNING v.*
), kept AS (
    INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded,
                                  status, enabled, notes, body, digest, revision, last_deployed_at, created_at,
                                  updated_at, created_by_type, created_by_id, updated_by_type, updated_by_id)
    SELECT id, company_id, flow_id, $5, $6, iteration, name, name_folded,
           status, enabled, notes, body, digest, revision, last_deployed_at, created_at,
           updated_at, created_by_type, created_by_id, updated_by_type, updated_by_id
    FROM moved
)
SELECT array_agg(t.id ORDER BY t.id) FROM target t WHERE NOT EXISTS (SELECT FROM moved m WHERE m.id = t.id);

-- name: explain_left
-- Why members of a batch were not removed, judged by what is left of them, in the transaction of the deletion.
SELECT t.id AS version_id,
       v.name,
       CASE WHEN v.id IS NULL THEN 'gone'
            WHEN v.status = 'Deployed' OR v.deploy_at IS NOT NULL THEN 'protected'
            ELSE 'changed_since' END AS reason
FROM unnest($2::bigint[]) AS t (id)
LEFT JOIN flow_versions v ON v.id = t.id AND v.company_id = $1
ORDER BY t.id;

-- name: patch_version
-- Changes notes and enabled, the only things of a kept version that can change; null leaves a value as it is.
UPDATE flow_versions
SET notes = coalesce($3, notes), enabled = coalesce($4, enabled), revision = revision + 1,
    updated_at = clock_timestamp(), updated_by_type = $5, updated_by_id = $6
WHERE id = $2 AND company_id = $1
RETURNING *;

-- name: preview_set
-- What a bulk delete would match now, without writing anything: how many, how many of them are protected, and the
-- first hundred in id order.
WITH matched AS (
    SELECT v.id, v.name, v.status = 'Deployed' OR v.deploy_at IS NOT NULL AS protected
    FROM flow_versions v
    WHERE v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft' AND /* query */ TRUE
)
SELECT count(*) AS matched, count(*) FILTER (WHERE protected) AS protected,
       (SELECT array_agg(s.id ORDER BY s.id) FROM (SELECT id FROM matched ORDER BY id LIMIT $3) AS s) AS ids,
       (SELECT array_agg(s.name ORDER BY s.id) FROM (SELECT id, name FROM matched ORDER BY id LIMIT $3) AS s) AS names
FROM matched;

-- name: count_versions
-- How many versions there are to page through.
SELECT count(*) FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft' AND /* query */ TRUE;

-- name: list_versions
-- A page of a flow's versions that meet the query put in; the order, put in from SORTS, ends with the id so that
-- pages never overlap.
SELECT * FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2 AND v.status <> 'Draft' AND /* query */ TRUE
ORDER BY /* order */ v.id
LIMIT $3 OFFSET $4;

-- name: fix_set
-- Fixes the set of a bulk delete: what the compiled query, put in here, matches now. The flow is locked, so nothing
-- joins the set while it is read; a cut-off by highest id would be wrong, since ids commit out of order.
INSERT INTO job_chunks (job_id, ordinal, version_ids, revisions)
SELECT $1, ordinal, array_agg(id ORDER BY id), array_agg(revision ORDER BY id)
FROM (
    SELECT v.id, v.revision, ((row_number() OVER (ORDER BY v.id) - 1) / $4)::integer AS ordinal
    FROM flow_versions v
    WHERE v.company_id = $2 AND v.flow_id = $3 AND v.status <> 'Draft' AND /* query */ TRUE
) AS numbered
GROUP BY ordinal
RETURNING cardinality(version_ids) AS size;

-- name: list_namesakes
-- A page of the versions of one name in all flows of an application that meet the query put in, in the order put in.
SELECT v.*, f.flow_class
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.company_id = $1 AND v.name = $3
  AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL AND /* query */ TRUE
ORDER BY /* order */ 1
LIMIT $4 OFFSET $5;

-- name: count_namesakes
-- How many list_namesakes has to page through.
SELECT count(*)
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.company_id = $1 AND v.name = $3
  AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL AND /* query */ TRUE;
