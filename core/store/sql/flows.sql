-- name: create_flow
-- A flow is born without any version.
INSERT INTO flows (company_id, application_id, name, description, flow_class, enabled,
                   created_by_type, created_by_id, updated_by_type, updated_by_id,
                   short_description, icon_data, docs_url, category, custom_node_supports, name_folded,
                   runner_url, flow_priority, run_timeout_seconds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
RETURNING id;

-- name: read_flow
-- One flow with the id of its deployed version; null in $2 means of any application.
SELECT f.*, d.id AS deployed_version_id
FROM flows f
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.status = 'Deployed'
WHERE f.id = $3 AND f.company_id = $1 AND ($2::bigint IS NULL OR f.application_id = $2) AND f.removing_since IS NULL;

-- name: read_flow_with_develop
-- The same with the body of its Draft, which can have megabytes: only for whoever goes on to change it.
SELECT f.*, d.id AS deployed_version_id, w.body AS develop
FROM flows f
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.status = 'Deployed'
LEFT JOIN flow_versions w ON w.flow_id = f.id AND w.status = 'Draft'
WHERE f.id = $3 AND f.company_id = $1 AND ($2::bigint IS NULL OR f.application_id = $2) AND f.removing_since IS NULL;

-- name: show_flow
-- A flow as its dialect shows it, with `d`, the deployed version, and `v`, the Draft; and what the token that asks may
-- see, in one round trip. No row: the token opens nothing. No revision: it sees no such flow.
SELECT t.application_id, t.scopes, f.id, f.revision, /* shown */ ''::bytea AS shown
FROM open_token($1) t
LEFT JOIN flows f ON f.id = $2 AND f.company_id = t.company_id AND f.application_id = t.application_id
                 AND f.removing_since IS NULL
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.company_id = f.company_id AND d.status = 'Deployed'
LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.company_id = f.company_id AND v.status = 'Draft';

-- name: show_changed_flow
-- The same of a flow that this transaction has made or changed.
SELECT f.id, f.revision, /* shown */ ''::bytea AS shown
FROM flows f
LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.company_id = f.company_id AND d.status = 'Deployed'
LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.company_id = f.company_id AND v.status = 'Draft'
WHERE f.id = $2 AND f.company_id = $1;

-- name: show_flows
-- A page of the flows of an application that meet the predicate put in, as their dialect shows them, and their ids,
-- both in the order put in; how many there are in all; and what the token that asks may see. Nothing is sought if the
-- application is not the token's. Deployed version and Draft are joined to the flows of the page, and to all others
-- only for a predicate that looks at them. A page that ends the list tells how long it is.
SELECT t.application_id, t.scopes, page.items, page.ids,
       CASE WHEN page.size < $3 AND (page.size > 0 OR $4 = 0) THEN $4 + page.size
            ELSE (SELECT count(*) FROM flows f /* joined */
                  WHERE t.application_id = $2 AND f.company_id = t.company_id AND f.application_id = $2
                    AND f.removing_since IS NULL AND /* query */ TRUE)
       END AS total
FROM open_token($1) t
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(f.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM flows f
    LEFT JOIN flow_versions d ON d.flow_id = f.id AND d.company_id = f.company_id AND d.status = 'Deployed'
    LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.company_id = f.company_id AND v.status = 'Draft'
    WHERE f.company_id = t.company_id AND f.id = ANY(ARRAY(
        SELECT f.id FROM flows f /* joined */
        WHERE t.application_id = $2 AND f.company_id = t.company_id AND f.application_id = $2
          AND f.removing_since IS NULL AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $3 OFFSET $4
    ))
) AS page;

-- name: find_application
-- Tells an empty application from one that is not the caller's.
SELECT id FROM applications WHERE id = $2 AND company_id = $1;

-- name: read_constants
-- What a query on the versions of a flow may ask that is the same for all of them, for the token that asks.
SELECT f.name, f.flow_class, f.custom_node_supports
FROM open_token($1) t
JOIN flows f ON f.id = $2 AND f.company_id = t.company_id AND f.application_id = t.application_id
            AND f.removing_since IS NULL;

-- name: lock_flow
-- Taken first by whatever creates, names, deploys, deletes or restores versions of the flow. It lets readers and
-- foreign-key checks pass. Null in $2 means a flow of any application.
SELECT id, application_id, name, flow_class, custom_node_supports, revision
FROM flows
WHERE id = $3 AND company_id = $1 AND ($2::bigint IS NULL OR application_id = $2) AND removing_since IS NULL
FOR NO KEY UPDATE;

-- name: lock_flow_of_job
-- The same lock for a job's batch, which also works on flows that are being removed.
SELECT id FROM flows WHERE id = $2 AND company_id = $1 FOR NO KEY UPDATE;

-- name: update_flow
-- Changes what is given; null leaves a value as it is, but for what $13 names, which becomes null.
UPDATE flows
SET name = coalesce($3, name),
    enabled = coalesce($4, enabled),
    description = CASE WHEN 'description' <> ALL ($13::text[]) THEN coalesce($5, description) END,
    runner_url = CASE WHEN 'runner_url' <> ALL ($13::text[]) THEN coalesce($14, runner_url) END,
    flow_priority = coalesce($15, flow_priority),
    run_timeout_seconds = coalesce($16, run_timeout_seconds),
    short_description = coalesce($8, short_description),
    icon_data = coalesce($9, icon_data),
    docs_url = coalesce($10, docs_url),
    category = coalesce($11, category),
    revision = revision + 1,
    updated_at = clock_timestamp(),
    updated_by_type = $6,
    updated_by_id = $7,
    name_folded = coalesce($12, name_folded)
WHERE id = $2 AND company_id = $1
RETURNING id;

-- name: touch_flow
-- Tells whoever has read the flow that its develop content is another one now.
UPDATE flows
SET revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $3, updated_by_id = $4
WHERE id = $2 AND company_id = $1;

-- name: hide_flow
-- From this commit on no query finds the flow; its job moves it to deleted_flows at the end.
UPDATE flows SET removing_since = clock_timestamp() WHERE id = $2 AND company_id = $1;

-- name: move_flow_to_trash
-- The last step of a flow's deletion: its versions are gone, the row follows.
WITH moved AS (
    DELETE FROM flows f
    WHERE f.id = $2 AND f.company_id = $1 AND f.removing_since IS NOT NULL
    RETURNING f.*
)
INSERT INTO deleted_flows (id, company_id, application_id, job_id, name, description, flow_class, enabled,
                           next_iteration, revision, created_at, created_by_type, created_by_id,
                           updated_by_type, updated_by_id,
                           short_description, icon_data, docs_url, category, custom_node_supports, name_folded,
                           runner_url, flow_priority, run_timeout_seconds)
SELECT id, company_id, application_id, $3, name, description, flow_class, enabled,
       next_iteration, revision, created_at, created_by_type, created_by_id,
       updated_by_type, updated_by_id,
       short_description, icon_data, docs_url, category, custom_node_supports, name_folded,
       runner_url, flow_priority, run_timeout_seconds
FROM moved;

-- name: restore_flow_of_job
-- The first step of taking a flow's removal back: the row returns under its id, to take its versions in again.
WITH back AS (
    DELETE FROM deleted_flows WHERE job_id = $1 RETURNING *
)
INSERT INTO flows (id, company_id, application_id, name, description, flow_class, enabled, next_iteration, revision,
                   created_at, created_by_type, created_by_id, updated_by_type, updated_by_id,
                   short_description, icon_data, docs_url, category, custom_node_supports, name_folded,
                   runner_url, flow_priority, run_timeout_seconds)
OVERRIDING SYSTEM VALUE
SELECT id, company_id, application_id, name, description, flow_class, enabled, next_iteration, revision + 1,
       created_at, created_by_type, created_by_id, updated_by_type, updated_by_id,
       short_description, icon_data, docs_url, category, custom_node_supports, name_folded,
       runner_url, flow_priority, run_timeout_seconds
FROM back;

-- name: lock_flow_of_company
-- The flow for a native address, which names no application; null in $3 means any of the company's.
SELECT id, application_id, name, flow_class, custom_node_supports, revision
FROM flows
WHERE id = $2 AND company_id = $1 AND ($3::bigint IS NULL OR application_id = $3) AND removing_since IS NULL
FOR NO KEY UPDATE;

-- name: is_visible
-- Whether there is such a flow, not removed and not being removed; null in $3 means in any application.
SELECT EXISTS (
    SELECT FROM flows
    WHERE id = $2 AND company_id = $1 AND ($3::bigint IS NULL OR application_id = $3) AND removing_since IS NULL
);

-- name: show_company_flow
-- A flow of a company, in whatever application the caller may see, as its dialect shows it; and who asks, in one round
-- trip. No row: the caller is nobody. No revision: there is no such flow to be seen.
SELECT t.*, f.id, f.revision, /* shown */ ''::bytea AS shown
FROM open_caller($1, $2, $3, $4) t
LEFT JOIN flows f ON f.id = $5 AND f.company_id = t.company_id AND f.removing_since IS NULL
                 AND (t.application_id IS NULL OR f.application_id = t.application_id);

-- name: show_company_flows
-- The same of a page of them, narrowed and ordered by what is put in, with their ids in this order, and how many there
-- are in all. A page that ends the list tells how long it is.
SELECT t.*, page.items, page.ids,
       CASE WHEN page.size < $5 AND (page.size > 0 OR $6 = 0) THEN $6 + page.size
            ELSE (SELECT count(*) FROM flows f
                  WHERE f.company_id = t.company_id AND f.removing_since IS NULL
                    AND (t.application_id IS NULL OR f.application_id = t.application_id) AND /* query */ TRUE)
       END AS total
FROM open_caller($1, $2, $3, $4) t
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(f.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM flows f
    WHERE f.company_id = t.company_id AND f.id = ANY(ARRAY(
        SELECT f.id FROM flows f
        WHERE f.company_id = t.company_id AND f.removing_since IS NULL
          AND (t.application_id IS NULL OR f.application_id = t.application_id) AND /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $5 OFFSET $6
    ))
) AS page;

