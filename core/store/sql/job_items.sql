-- name: list_failures
-- The first failed items of a job, by version.
SELECT version_id, name, reason FROM job_failures WHERE job_id = $1 ORDER BY version_id LIMIT $2;

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
