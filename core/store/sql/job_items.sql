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

-- name: fix_flow_set
-- Fixes the set for the removal of a whole flow: every version, the Draft included.
INSERT INTO job_chunks (job_id, ordinal, version_ids, revisions)
SELECT $1, ordinal, array_agg(id ORDER BY id), array_agg(revision ORDER BY id)
FROM (
    SELECT id, revision, ((row_number() OVER (ORDER BY id) - 1) / $4)::integer AS ordinal
    FROM flow_versions WHERE company_id = $2 AND flow_id = $3
) AS numbered
GROUP BY ordinal
RETURNING cardinality(version_ids);

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
