-- name: read_storage
-- Everything a visible flow keeps, put together here so that no value is parsed and written again.
SELECT coalesce(s.revision, 0) AS revision, (
    SELECT '{' || coalesce(string_agg(to_json(e.key)::text || ':' || e.value::text, ',' ORDER BY e.key), '') || '}'
    FROM flow_storage_entries e WHERE e.flow_id = f.id AND e.company_id = $1
) AS entries
FROM flows f
LEFT JOIN flow_storages s ON s.flow_id = f.id
WHERE f.id = $3 AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL;

-- name: read_use
-- How much a visible flow keeps, without reading it.
SELECT coalesce(s.revision, 0) AS revision, coalesce(s.keys_count, 0) AS keys_count,
       coalesce(s.memory_used, 0) AS memory_used
FROM flows f
LEFT JOIN flow_storages s ON s.flow_id = f.id
WHERE f.id = $3 AND f.company_id = $1 AND f.application_id = $2 AND f.removing_since IS NULL;

-- name: read_before_change
-- The storage and one of its values as they stand. The flow is locked, so neither can change before this transaction
-- writes; a flow that never kept anything has no row here.
SELECT s.revision, s.keys_count, s.memory_used,
       octet_length(e.key) + octet_length(e.value::text) AS size,
       sha256(convert_to(e.value::text, 'UTF8')) AS digest
FROM flow_storages s
LEFT JOIN flow_storage_entries e ON e.flow_id = s.flow_id AND e.key = $3
WHERE s.flow_id = $2 AND s.company_id = $1;

-- name: set_entry
-- Keeps one value, new or in place of another, under the counts that the caller has worked out.
WITH stored AS (
    INSERT INTO flow_storage_entries (flow_id, company_id, key, value) VALUES ($2, $1, $3, $4)
    ON CONFLICT (flow_id, key) DO UPDATE SET value = excluded.value
)
INSERT INTO flow_storages (flow_id, company_id, keys_count, memory_used) VALUES ($2, $1, $5, $6)
ON CONFLICT (flow_id) DO UPDATE
SET revision = flow_storages.revision + 1, keys_count = excluded.keys_count, memory_used = excluded.memory_used
RETURNING revision;

-- name: delete_entries
-- Moves some values to the trash as one deletion, all of them where $3 is null; no row when there is nothing to move.
WITH taken AS (
    DELETE FROM flow_storage_entries
    WHERE flow_id = $2 AND company_id = $1 AND ($3::text[] IS NULL OR key = ANY ($3::text[]))
    RETURNING key, value
), gathered AS (
    SELECT '{' || string_agg(to_json(key)::text || ':' || value::text, ',' ORDER BY key) || '}' AS entries,
           (array_agg(key ORDER BY key))[:$4] AS first_keys, count(*)::integer AS keys_count,
           sum(octet_length(key) + octet_length(value::text))::integer AS memory_used
    FROM taken
), left_over AS (
    UPDATE flow_storages s
    SET revision = s.revision + 1, keys_count = s.keys_count - g.keys_count,
        memory_used = s.memory_used - g.memory_used
    FROM gathered g
    WHERE s.flow_id = $2 AND s.company_id = $1 AND g.keys_count > 0
    RETURNING g.*, s.revision
)
INSERT INTO deleted_storages (company_id, flow_id, job_id, reason, entries, first_keys, keys_count, memory_used,
                              revision, purge_after)
SELECT $1, $2, NULL, $5, entries::json, first_keys, keys_count, memory_used, revision - 1,
       clock_timestamp() + $6::interval
FROM left_over
RETURNING id, keys_count, revision + 1 AS revision;

-- name: move_storage_of_flow
-- The storage goes with its flow; also an empty one, whose revision must not go back when the flow returns.
WITH taken AS (
    DELETE FROM flow_storage_entries WHERE flow_id = $2 AND company_id = $1 RETURNING key, value
), emptied AS (
    DELETE FROM flow_storages WHERE flow_id = $2 AND company_id = $1 RETURNING *
)
INSERT INTO deleted_storages (company_id, flow_id, job_id, reason, entries, first_keys, keys_count, memory_used,
                              revision)
SELECT s.company_id, s.flow_id, $3, 'flow_deleted', (
    SELECT '{' || coalesce(string_agg(to_json(key)::text || ':' || value::text, ',' ORDER BY key), '') || '}' FROM taken
)::json, (
    SELECT coalesce((array_agg(key ORDER BY key))[:$4], '{}') FROM taken
), s.keys_count, s.memory_used, s.revision
FROM emptied s;

-- name: lock_deleted
-- Holds one deletion for its return, unless its time is over: the pruner passes over what is locked.
SELECT keys_count, memory_used, ARRAY (SELECT json_object_keys(entries)) AS keys
FROM deleted_storages
WHERE id = $3 AND flow_id = $2 AND company_id = $1 AND job_id IS NULL AND purge_after > clock_timestamp()
FOR UPDATE;

-- name: put_back
-- Brings back what one deletion took, or, by $3, what went with the flow that a job removed. Its keys are free: the
-- storage returns with its flow, or the newer values were moved out of the way.
WITH back AS (
    DELETE FROM deleted_storages WHERE company_id = $1 AND (id = $2 OR job_id = $3) RETURNING *
), stored AS (
    INSERT INTO flow_storage_entries (flow_id, company_id, key, value)
    SELECT b.flow_id, b.company_id, e.key, e.value FROM back b, json_each(b.entries) AS e
)
INSERT INTO flow_storages (flow_id, company_id, revision, keys_count, memory_used)
SELECT flow_id, company_id, revision + 1, keys_count, memory_used FROM back
ON CONFLICT (flow_id) DO UPDATE
SET revision = flow_storages.revision + 1, keys_count = flow_storages.keys_count + excluded.keys_count,
    memory_used = flow_storages.memory_used + excluded.memory_used;

-- name: list_deleted
-- A page of what was deleted from a flow's storage, newest first.
SELECT id, reason, first_keys, keys_count, memory_used, deleted_at, purge_after
FROM deleted_storages
WHERE company_id = $1 AND flow_id = $2 AND job_id IS NULL
ORDER BY id DESC LIMIT $3 OFFSET $4;

-- name: count_deleted
-- How many deletions there are to page through.
SELECT count(*) FROM deleted_storages WHERE company_id = $1 AND flow_id = $2 AND job_id IS NULL;

-- name: purge_deleted
-- Ends deletions whose time is over, oldest first, so many at a time that nobody waits for it.
DELETE FROM deleted_storages WHERE id IN (
    SELECT id FROM deleted_storages WHERE purge_after < clock_timestamp()
    ORDER BY purge_after LIMIT $1
    FOR UPDATE SKIP LOCKED
);

-- name: purge_storage_of_job
-- Ends what went with a flow that can no longer return.
DELETE FROM deleted_storages WHERE job_id = $1;
