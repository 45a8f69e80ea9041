-- name: list_failures
-- Failed items of a job, by version.
SELECT version_id, name, reason FROM job_failures WHERE job_id = $1 ORDER BY version_id LIMIT $2 OFFSET $3;

-- name: record_failures
-- What a batch could not remove, and why.
INSERT INTO job_failures (job_id, version_id, name, reason)
SELECT $1, version_id, name, reason
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS left_over (version_id, name, reason);

-- name: read_pairs
-- Part of one chunk: the (id, revision) pairs from offset $3 (counted from 1) to $4.
SELECT version_ids[$3:$4] AS version_ids, revisions[$3:$4] AS revisions
FROM job_chunks WHERE job_id = $1 AND ordinal = $2;

-- name: stage_with_set
-- Fixes the set of a deletion, what the compiled query put in here matches now, and stages the job of it. The flow is
-- locked, so nothing joins the set while it is read; a cut-off by highest id would be wrong, since ids commit out of
-- order. The job is written last: its total is known by then, and it is as old as its acceptance.
WITH number AS MATERIALIZED (
    SELECT nextval('jobs_id_seq') AS id
), chunk AS (
    INSERT INTO job_chunks (job_id, ordinal, version_ids, revisions)
    SELECT number.id, ordinal, array_agg(numbered.id ORDER BY numbered.id), array_agg(revision ORDER BY numbered.id)
    FROM number, (
        SELECT v.id, v.revision, ((row_number() OVER (ORDER BY v.id) - 1) / $10)::integer AS ordinal
        FROM flow_versions v
        WHERE v.company_id = $2 AND v.flow_id = $4 AND /* query */ TRUE
    ) AS numbered
    GROUP BY number.id, ordinal
    RETURNING cardinality(version_ids) AS size
)
INSERT INTO jobs (id, public_id, company_id, application_id, flow_id, parent_id, kind, queue, arguments,
                  requested_by_type, requested_by_id, total, deliver_at)
OVERRIDING SYSTEM VALUE
SELECT id, $1, $2, $3, $4, NULL, $5, $6, $7, $8, $9, (SELECT coalesce(sum(size), 0) FROM chunk), clock_timestamp()
FROM number
RETURNING id, total;

-- name: list_items
-- Items $2 to $3 of a job's set, counted from 0, in id order: what became of each, and what it was called as far as
-- anything still knows. `reason` is null for one that was removed or is still to come.
SELECT item.id AS version_id, item.place, f.reason,
       coalesce(f.name, d.name, v.name) AS name
FROM (
    SELECT unnest(version_ids) AS id, ordinal * $4 + generate_subscripts(version_ids, 1) - 1 AS place
    FROM job_chunks
    WHERE job_id = $1 AND ordinal BETWEEN $2 / $4 AND $3 / $4
) AS item
LEFT JOIN job_failures f ON f.job_id = $1 AND f.version_id = item.id
LEFT JOIN deleted_versions d ON d.job_id = $1 AND d.version_id = item.id
LEFT JOIN flow_versions v ON v.id = item.id AND v.company_id = $5
WHERE item.place BETWEEN $2 AND $3
ORDER BY item.place;
