-- name: read_clock
-- The time by which schedules are judged, the same for all processes.
SELECT clock_timestamp();

-- name: list_schedules
-- A page of a version's schedules, in the order they were made.
SELECT * FROM schedules
WHERE company_id = $1 AND flow_id = $2 AND flow_version_id = $3
ORDER BY id LIMIT $4 OFFSET $5;

-- name: list_schedules_of_versions
-- The same of several versions at once, each looked up by its flow.
SELECT s.*
FROM flow_versions v
JOIN schedules s ON s.flow_id = v.flow_id AND s.flow_version_id = v.id AND s.company_id = v.company_id
WHERE v.id = ANY($2::bigint[]) AND v.company_id = $1
ORDER BY s.flow_version_id, s.id
LIMIT $3;

-- name: count_schedules
-- How many a version has: to page through, and so that there are never too many.
SELECT count(*) FROM schedules WHERE company_id = $1 AND flow_id = $2 AND flow_version_id = $3;

-- name: insert_schedule
-- A new schedule of a version whose flow is locked. It begins now where $10 says so, else at $11, which may be never.
INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,
                       catchup_window_seconds, paused, pause_reason, deployed_at,
                       created_at, updated_at, created_by_type, created_by_id, updated_by_type, updated_by_id)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10::boolean THEN now.at ELSE $11 END, now.at, now.at,
       $12, $13, $12, $13
FROM clock_timestamp() AS now (at)
RETURNING *;

-- name: lock_schedule
-- Before a change or the deletion of one; its flow is locked already. The row is the one that the wait ended with.
SELECT * FROM schedules
WHERE id = $4 AND company_id = $1 AND flow_id = $2 AND flow_version_id = $3
FOR NO KEY UPDATE;

-- name: update_schedule
-- New rules for a locked schedule.
UPDATE schedules
SET cron_string = $3, timezone = $4, overlap_policy = $5, catchup_window_seconds = $6, paused = $7, pause_reason = $8,
    deployed_at = $9, revision = revision + 1, updated_at = clock_timestamp(), updated_by_type = $10,
    updated_by_id = $11
WHERE id = $2 AND company_id = $1
RETURNING *;

-- name: delete_schedule
-- Ends a locked schedule for good: what it was stands in the audit trail.
DELETE FROM schedules WHERE id = $2 AND company_id = $1;

-- name: copy_schedules
-- The same rules for another version of the same flow, which is locked: each schedule anew, under an id of its own.
INSERT INTO schedules (company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,
                       catchup_window_seconds, paused, pause_reason, deployed_at,
                       created_by_type, created_by_id, updated_by_type, updated_by_id)
SELECT s.company_id, s.flow_id, $3, s.cron_string, s.timezone, s.overlap_policy,
       s.catchup_window_seconds, s.paused, s.pause_reason, s.deployed_at, $4, $5, $4, $5
FROM flow_versions v
JOIN schedules s ON s.flow_id = v.flow_id AND s.flow_version_id = v.id AND s.company_id = v.company_id
WHERE v.id = $2 AND v.company_id = $1
ORDER BY s.id;

-- name: put_back_schedules
-- What left with a version that comes back, or with a content that now goes into this version.
INSERT INTO schedules (id, company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,
                       catchup_window_seconds, paused, pause_reason, deployed_at, revision, created_at, updated_at,
                       created_by_type, created_by_id, updated_by_type, updated_by_id)
SELECT s.id, s.company_id, s.flow_id, $2, s.cron_string, s.timezone, s.overlap_policy,
       s.catchup_window_seconds, s.paused, s.pause_reason, s.deployed_at, s.revision, s.created_at, s.updated_at,
       s.created_by_type, s.created_by_id, s.updated_by_type, s.updated_by_id
FROM json_populate_recordset(NULL::schedules, $3::json) AS s
WHERE s.company_id = $1;

-- name: find_schedule
-- One schedule by its id alone, of any application or of one; its version says which flow to lock.
SELECT s.* FROM schedules s
JOIN flows f ON f.id = s.flow_id AND f.company_id = s.company_id AND f.removing_since IS NULL
WHERE s.id = $2 AND s.company_id = $1 AND ($3::bigint IS NULL OR f.application_id = $3);
