-- name: insert_version
-- A new version with its place in its flow and its audit event, if the token that asks admits it, in one statement and
-- one commit. Raising the flow's counter locks it, and looks at it again if somebody else had it. No row: the token
-- opens nothing or does not admit this, or sees no such flow, or the flow is of no class in $13; which of these it is,
-- only a refusal has to know. A taken name breaks flow_versions_name_key, which the caller sees as AlreadyExists, and
-- uses up no number.
WITH f AS (
    UPDATE flows SET next_iteration = next_iteration + 1
    FROM open_token($1) t
    WHERE flows.id = $4 AND flows.company_id = t.company_id AND flows.application_id = t.application_id
      AND t.application_id = $2 AND t.scopes && $3::text[] AND flows.removing_since IS NULL
      AND flows.flow_class = ANY($13::text[])
    RETURNING flows.*, t.id AS token_id
), v AS (
    INSERT INTO flow_versions (company_id, flow_id, iteration, name, name_folded, status, enabled, notes, body, digest,
                               created_by_type, created_by_id, updated_by_type, updated_by_id)
    SELECT company_id, id, next_iteration - 1, $5, $6, 'Inactive', $7, $8, $9, $10, $11, token_id, $11, token_id FROM f
    RETURNING *
), accounted AS (
    INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id, after_digest)
    SELECT company_id, $11, created_by_id, $12, 'version.create', 'version', id, digest FROM v
)
SELECT v.id, v.revision, /* shown */ ''::bytea AS shown
FROM v CROSS JOIN f;

-- name: insert_draft
-- A flow's own content, with the first that is put in, with its place in the flow and its audit event. The flow is locked
-- and has none.
WITH f AS (
    UPDATE flows SET next_iteration = next_iteration + 1 WHERE id = $2 AND company_id = $1
    RETURNING next_iteration - 1 AS iteration
), v AS (
    INSERT INTO flow_versions (company_id, flow_id, iteration, status, body, digest,
                               created_by_type, created_by_id, updated_by_type, updated_by_id)
    SELECT $1, $2, f.iteration, 'Draft', $3, $4, $5, $6, $5, $6 FROM f
    RETURNING *
), accounted AS (
    INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id, after_digest)
    SELECT $1, $5, $6, $7, 'draft.create', 'version', id, digest FROM v
)
SELECT * FROM v;

-- name: show_version_by_id
-- A version as its dialect shows it, and what the token that asks may see, in one round trip. No row: the token
-- opens nothing. No revision: a visible flow with such a version is not there; the Draft has no address here.
SELECT t.application_id, t.scopes, v.id, v.revision, /* shown */ ''::bytea AS shown
FROM open_token($1) t
LEFT JOIN flows f ON f.id = $2 AND f.company_id = t.company_id AND f.application_id = t.application_id
                 AND f.removing_since IS NULL
LEFT JOIN flow_versions v ON v.id = $3 AND v.flow_id = f.id AND v.company_id = t.company_id AND v.status <> 'Draft';

-- name: show_version_by_name
-- The same by name, which a Draft does not have.
SELECT t.application_id, t.scopes, v.id, v.revision, /* shown */ ''::bytea AS shown
FROM open_token($1) t
LEFT JOIN flows f ON f.id = $2 AND f.company_id = t.company_id AND f.application_id = t.application_id
                 AND f.removing_since IS NULL
LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.name = $3 AND v.company_id = t.company_id;

-- name: show_changed_version
-- A version as its dialect shows it, after a change in the same transaction.
SELECT v.id, v.revision, /* shown */ ''::bytea AS shown
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.id = $2 AND v.company_id = $1;

-- name: show_touched_version
-- The same, and whoever has read its flow is told that what is read with it is another one now.
WITH touched AS (
    UPDATE flows
    SET revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $4, updated_by_id = $5
    WHERE id = $3 AND company_id = $1
)
SELECT v.id, v.revision, /* shown */ ''::bytea AS shown
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id
WHERE v.id = $2 AND v.flow_id = $3 AND v.company_id = $1;

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

-- name: lock_any_version
-- The same by id for a dialect in which a Draft has an address like any other version, read as it is once it is locked,
-- with how many seconds $4 is ahead then by the clock that decides when it has come.
SELECT *, extract(epoch FROM $4::timestamptz - clock_timestamp())::float8 AS ahead FROM flow_versions
WHERE id = $3 AND flow_id = $2 AND company_id = $1
FOR NO KEY UPDATE;

-- name: lock_draft
-- The same for the flow's own content.
SELECT id FROM flow_versions
WHERE flow_id = $2 AND company_id = $1 AND status = 'Draft'
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

-- name: delete_version
-- Moves one version with its schedules to the trash, unless it is protected; the conditions stand in the deleting
-- statement so that a deploy that commits first wins.
WITH moved AS (
    DELETE FROM flow_versions v
    WHERE v.id = $2 AND v.company_id = $1 AND v.status = 'Inactive' AND v.deploy_at IS NULL
    RETURNING v.*
), silenced AS (
    DELETE FROM schedules s USING moved m
    WHERE s.flow_id = m.flow_id AND s.flow_version_id = m.id AND s.company_id = $1
    RETURNING s.*
)
INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded, status,
                              enabled, notes, body, digest, revision, last_deployed_at, created_at, updated_at,
                              created_by_type, created_by_id, updated_by_type, updated_by_id, purge_after, schedules)
SELECT id, company_id, flow_id, NULL, 'deleted', iteration, name, name_folded, status, enabled, notes,
       body, digest, revision, last_deployed_at, created_at, updated_at,
       created_by_type, created_by_id, updated_by_type, updated_by_id, clock_timestamp() + $3::interval,
       (SELECT json_agg(s ORDER BY s.id) FROM silenced s)
FROM moved
RETURNING version_id;

-- name: discard_draft
-- Moves a Draft with its schedules to the trash, to make room for another one; the flow and the Draft are locked. One
-- that is about to be deployed stays.
WITH moved AS (
    DELETE FROM flow_versions v
    WHERE v.id = $2 AND v.company_id = $1 AND v.status = 'Draft' AND v.deploy_at IS NULL
    RETURNING v.*
), silenced AS (
    DELETE FROM schedules s USING moved m
    WHERE s.flow_id = m.flow_id AND s.flow_version_id = m.id AND s.company_id = $1
    RETURNING s.*
)
INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded, status,
                              enabled, notes, body, digest, revision, last_deployed_at, created_at, updated_at,
                              created_by_type, created_by_id, updated_by_type, updated_by_id, purge_after, schedules)
SELECT id, company_id, flow_id, NULL, 'replaced', iteration, name, name_folded, status, enabled, notes,
       body, digest, revision, last_deployed_at, created_at, updated_at,
       created_by_type, created_by_id, updated_by_type, updated_by_id, clock_timestamp() + $3::interval,
       (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM silenced s)
FROM moved
RETURNING version_id;

-- name: keep_replaced
-- Puts a copy of a version's content into the trash just before it is replaced. Its schedules stay with the version,
-- unless they are replaced as well ($4): they then go along, so that a schedule is never in two places. That none went
-- along is not the same as that they stayed.
WITH silenced AS (
    DELETE FROM schedules s USING flow_versions v
    WHERE $4 AND v.id = $2 AND v.company_id = $1
      AND s.flow_id = v.flow_id AND s.flow_version_id = v.id AND s.company_id = $1
    RETURNING s.*
)
INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded, status,
                              enabled, notes, body, digest, revision, last_deployed_at, created_at, updated_at,
                              created_by_type, created_by_id, updated_by_type, updated_by_id, purge_after, schedules)
SELECT id, company_id, flow_id, NULL, 'replaced', iteration, name, name_folded, status, enabled, notes,
       body, digest, revision, last_deployed_at, created_at, updated_at,
       created_by_type, created_by_id, updated_by_type, updated_by_id, clock_timestamp() + $3::interval,
       CASE WHEN $4 THEN (SELECT coalesce(json_agg(s ORDER BY s.id), '[]') FROM silenced s) END
FROM flow_versions WHERE id = $2 AND company_id = $1;

-- name: delete_batch
-- Moves one batch of a bulk delete, with its schedules, to the trash and says which it left. Every protecting condition
-- is judged on the row as it is when its lock is held, so a version patched or deployed in the meantime stays; $6 lets
-- the removal of a whole flow take its Draft along. A flow without schedules is asked once. With some, each version is
-- looked up in their index: no estimate can turn that into a join of all with all. They are read as they were when the
-- statement began, which is how they are, since nobody else writes schedules of a flow that is locked.
WITH target AS (
    SELECT id, revision FROM unnest($3::bigint[], $4::integer[]) AS pair (id, revision)
), moved AS (
    DELETE FROM flow_versions v
    USING target t
    WHERE v.id = t.id AND v.revision = t.revision AND v.company_id = $1 AND v.flow_id = $2
      AND v.deploy_at IS NULL AND (v.status = 'Inactive' OR ($6 = 'flow_deleted' AND v.status = 'Draft'))
    RETURNING v.*
), timed AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM schedules WHERE flow_id = $2 AND company_id = $1) AS found
), silenced AS (
    DELETE FROM schedules s
    WHERE (SELECT found FROM timed)
      AND s.flow_id = $2 AND s.company_id = $1 AND s.flow_version_id = ANY (ARRAY(SELECT m.id FROM moved m))
), kept AS (
    INSERT INTO deleted_versions (version_id, company_id, flow_id, job_id, reason, iteration, name, name_folded,
                                  status, enabled, notes, body, digest, revision, last_deployed_at, created_at,
                                  updated_at, created_by_type, created_by_id, updated_by_type, updated_by_id,
                                  schedules)
    SELECT id, company_id, flow_id, $5, $6, iteration, name, name_folded,
           status, enabled, notes, body, digest, revision, last_deployed_at, created_at,
           updated_at, created_by_type, created_by_id, updated_by_type, updated_by_id,
           CASE WHEN (SELECT found FROM timed) THEN (
               SELECT json_agg(s ORDER BY s.id) FROM schedules s
               WHERE s.flow_id = $2 AND s.company_id = $1 AND s.flow_version_id = m.id
           ) END
    FROM moved m
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
RETURNING revision;

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

-- name: show_versions
-- A page of a flow's versions that meet the predicate put in, as their dialect shows them, and their ids, both in the
-- order put in; how many there are in all; and what the token that asks may see. What has a name is no Draft.
-- Versions are sought by $2 and not by f.id, whose value the planner does not know, and a page by name first in the
-- index alone: what is passed over is neither read nor shown. A page that ends the list tells how long it is.
SELECT t.application_id, t.scopes, f.id IS NOT NULL AS found, page.items, page.ids,
       CASE WHEN page.size < $3 AND (page.size > 0 OR $4 = 0) THEN $4 + page.size
            ELSE (SELECT count(*) FROM flow_versions v
                  WHERE f.id IS NOT NULL AND v.flow_id = $2 AND v.name IS NOT NULL AND /* query */ TRUE)
       END AS total
FROM open_token($1) t
LEFT JOIN flows f ON f.id = $2 AND f.company_id = t.company_id AND f.application_id = t.application_id
                 AND f.removing_since IS NULL
LEFT JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(v.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM flow_versions v
    WHERE v.company_id = t.company_id AND v.id = ANY(ARRAY(
        SELECT v.id FROM flow_versions v
        WHERE f.id IS NOT NULL AND v.flow_id = $2 AND v.name IS NOT NULL AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $3 OFFSET $4
    ))
) AS page ON f.id IS NOT NULL;

-- name: show_namesakes
-- The same of the versions of one name in all flows of an application; nothing is sought if it is not the token's. A
-- name is unique in its flow: LIMIT 1 leaves out nothing, and makes sure that each flow is asked for its version through
-- the index, whatever the planner thinks of names. Else it reads that index from end to end.
SELECT t.application_id, t.scopes, page.items, page.ids,
       CASE WHEN page.size < $4 AND (page.size > 0 OR $5 = 0) THEN $5 + page.size
            ELSE (SELECT count(*)
                  FROM flows f
                  CROSS JOIN LATERAL (SELECT * FROM flow_versions WHERE flow_id = f.id AND name = $3 LIMIT 1) v
                  WHERE t.application_id = $2 AND f.company_id = t.company_id AND f.application_id = $2
                    AND f.removing_since IS NULL AND v.company_id = t.company_id AND /* query */ TRUE)
       END AS total
FROM open_token($1) t
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(v.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM flow_versions v
    JOIN flows f ON f.id = v.flow_id
    WHERE v.company_id = t.company_id AND v.id = ANY(ARRAY(
        SELECT v.id
        FROM flows f
        CROSS JOIN LATERAL (SELECT * FROM flow_versions WHERE flow_id = f.id AND name = $3 LIMIT 1) v
        WHERE t.application_id = $2 AND f.company_id = t.company_id AND f.application_id = $2
          AND f.removing_since IS NULL AND v.company_id = t.company_id AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $4 OFFSET $5
    ))
) AS page;

-- name: find_flow_of_version
-- Where a version is that an address names by itself; null in $3 means in any application. The Draft is one, too.
SELECT v.flow_id
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id
WHERE v.id = $2 AND v.company_id = $1 AND ($3::bigint IS NULL OR f.application_id = $3) AND f.removing_since IS NULL;

-- name: show_flow_version
-- A version of a company's flow, its Draft included, as its dialect shows it; and who asks, in one round trip. No row:
-- the caller is nobody. No revision: there is no such version to be seen.
SELECT t.*, v.id, v.revision, /* shown */ ''::bytea AS shown
FROM open_caller($1, $2, $3, $4) t
LEFT JOIN flows f ON f.id = $5 AND f.company_id = t.company_id AND f.removing_since IS NULL
                 AND (t.application_id IS NULL OR f.application_id = t.application_id)
LEFT JOIN flow_versions v ON v.id = $6 AND v.flow_id = f.id AND v.company_id = f.company_id;

-- name: show_flow_versions
-- The same of a page of a flow's versions, narrowed and ordered by what is put in, with their ids in this order, and how
-- many there are in all; found is null if there is no such flow to be seen. A page that ends the list tells how long it
-- is.
SELECT t.*, f.id AS found, page.items, page.ids,
       CASE WHEN page.size < $6 AND (page.size > 0 OR $7 = 0) THEN $7 + page.size
            ELSE (SELECT count(*) FROM flow_versions v
                  WHERE v.flow_id = f.id AND v.company_id = f.company_id AND /* query */ TRUE)
       END AS total
FROM open_caller($1, $2, $3, $4) t
LEFT JOIN flows f ON f.id = $5 AND f.company_id = t.company_id AND f.removing_since IS NULL
                 AND (t.application_id IS NULL OR f.application_id = t.application_id)
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(v.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM flow_versions v
    WHERE v.company_id = f.company_id AND v.id = ANY(ARRAY(
        SELECT v.id FROM flow_versions v
        WHERE v.flow_id = f.id AND v.company_id = f.company_id AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $6 OFFSET $7
    ))
) AS page;

-- name: show_related
-- Of each of these flows the newest $3 versions, the newest $4, and with $5 the deployed one: three relations in one
-- statement, whatever number of flows there are. An ordinal is found in its index, from the last one down.
SELECT f.id AS flow_id, t.relation, /* shown */ ''::bytea AS shown
FROM flows f
CROSS JOIN LATERAL (
    (SELECT 'versions' AS relation, a.id FROM flow_versions a
     WHERE a.flow_id = f.id AND a.company_id = f.company_id ORDER BY a.iteration DESC LIMIT $3)
    UNION ALL
    (SELECT 'latest', b.id FROM flow_versions b
     WHERE b.flow_id = f.id AND b.company_id = f.company_id ORDER BY b.iteration DESC LIMIT $4)
    UNION ALL
    (SELECT 'deployed', c.id FROM flow_versions c
     WHERE c.flow_id = f.id AND c.company_id = f.company_id AND c.status = 'Deployed' AND $5)
) AS t
JOIN flow_versions v ON v.id = t.id AND v.company_id = f.company_id
WHERE f.company_id = $1 AND f.id = ANY($2::bigint[])
ORDER BY f.id, v.iteration DESC;

-- name: count_related
-- How many versions each of these flows has where $3 asks, whether it has any, and whether one is deployed.
SELECT f.id AS flow_id,
       CASE WHEN $3::boolean
            THEN (SELECT count(*) FROM flow_versions v WHERE v.flow_id = f.id AND v.company_id = f.company_id)
       END AS versions,
       EXISTS (SELECT FROM flow_versions v WHERE v.flow_id = f.id AND v.company_id = f.company_id) AS has_versions,
       EXISTS (SELECT FROM flow_versions v
               WHERE v.flow_id = f.id AND v.company_id = f.company_id AND v.status = 'Deployed') AS has_deployed
FROM flows f
WHERE f.company_id = $1 AND f.id = ANY($2::bigint[]);
