-- name: purge_versions
-- Ends single entries whose time is over, oldest first, so many at a time that nobody waits for it.
DELETE FROM deleted_versions WHERE id IN (
    SELECT id FROM deleted_versions WHERE purge_after < clock_timestamp()
    ORDER BY purge_after LIMIT $1
    FOR UPDATE SKIP LOCKED
);

-- name: lock_purgeable_job
-- An ended job whose time to be undone is over, one at a time. Whoever accepts an undo locks the same row first, and a
-- job that is being taken back is left alone until that has ended; one that still runs has more to put into the trash.
SELECT id FROM jobs j
WHERE undo_until < (SELECT clock_timestamp()) AND purged_at IS NULL AND finished_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM jobs u WHERE u.undoes = j.id AND u.finished_at IS NULL)
ORDER BY undo_until LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: is_being_undone
-- Asked again once the job is locked: an undo may have been accepted while we waited for the lock.
SELECT EXISTS (SELECT FROM jobs WHERE undoes = $1 AND finished_at IS NULL);

-- name: purge_job
-- Ends what one job deleted, so many versions at a time.
DELETE FROM deleted_versions WHERE id IN (
    SELECT id FROM deleted_versions WHERE job_id = $1 ORDER BY version_id LIMIT $2
);

-- name: purge_flow_of_job
-- The flow goes with the last of its versions.
DELETE FROM deleted_flows WHERE job_id = $1;

-- name: mark_purged
-- Nothing is left of what the job deleted.
UPDATE jobs SET purged_at = clock_timestamp() WHERE id = $1;

-- name: count_job_trash
-- How many versions an undo of this job has to bring back.
SELECT count(*) FROM deleted_versions WHERE job_id = $1;

-- name: restore_batch
-- Brings back the next entries of a job's trash, with the schedules that left with them. What meets a taken name, or a
-- second draft, stays in the trash; an undone deletion leaves a version inactive under a new revision, so that an older
-- job's set no longer fits it.
WITH batch AS (
    SELECT * FROM deleted_versions WHERE job_id = $1 AND version_id > $2 ORDER BY version_id LIMIT $3
), back AS (
    INSERT INTO flow_versions (id, company_id, flow_id, iteration, name, name_folded, status, enabled, notes, body,
                               digest, revision, last_deployed_at, created_at, updated_at,
                               created_by_type, created_by_id, updated_by_type, updated_by_id)
    SELECT version_id, company_id, flow_id, iteration, name, name_folded,
           CASE WHEN name IS NULL THEN 'Draft' ELSE 'Inactive' END, enabled, notes, body,
           digest, revision + 1, last_deployed_at, created_at, updated_at,
           created_by_type, created_by_id, updated_by_type, updated_by_id
    FROM batch
    ON CONFLICT DO NOTHING
    RETURNING id
), scheduled AS (
    INSERT INTO schedules (id, company_id, flow_id, flow_version_id, cron_string, timezone, overlap_policy,
                           catchup_window_seconds, paused, pause_reason, deployed_at, revision, created_at, updated_at,
                           created_by_type, created_by_id, updated_by_type, updated_by_id)
    SELECT s.id, s.company_id, s.flow_id, s.flow_version_id, s.cron_string, s.timezone, s.overlap_policy,
           s.catchup_window_seconds, s.paused, s.pause_reason, s.deployed_at, s.revision, s.created_at, s.updated_at,
           s.created_by_type, s.created_by_id, s.updated_by_type, s.updated_by_id
    FROM batch b
    JOIN back r ON r.id = b.version_id
    CROSS JOIN LATERAL json_populate_recordset(NULL::schedules, b.schedules) AS s
    WHERE b.schedules IS NOT NULL
), emptied AS (
    DELETE FROM deleted_versions d USING batch b, back r WHERE d.id = b.id AND b.version_id = r.id
)
SELECT count(*) AS items, max(b.version_id) AS last,
       array_agg(b.version_id ORDER BY b.version_id) FILTER (WHERE r.id IS NULL) AS left_ids,
       array_agg(b.name ORDER BY b.version_id) FILTER (WHERE r.id IS NULL) AS left_names
FROM batch b LEFT JOIN back r ON r.id = b.version_id;

-- name: list_trash
-- A page of a flow's trash, newest first, with until when each entry is kept.
SELECT d.id, d.version_id, d.name, d.reason, d.revision, d.digest, d.deleted_at, j.public_id AS job,
       coalesce(d.purge_after, j.undo_until) AS purge_after
FROM deleted_versions d
LEFT JOIN jobs j ON j.id = d.job_id
WHERE d.company_id = $1 AND d.flow_id = $2
ORDER BY d.id DESC LIMIT $3 OFFSET $4;

-- name: count_trash
-- How many entries there are to page through.
SELECT count(*) FROM deleted_versions WHERE company_id = $1 AND flow_id = $2;

-- name: take_entry
-- Takes one entry out of the trash, unless its time is over; the flow is locked, so nobody else is at it.
DELETE FROM deleted_versions d
WHERE d.id = $3 AND d.company_id = $1 AND d.flow_id = $2
  AND coalesce(d.purge_after, (SELECT j.undo_until FROM jobs j WHERE j.id = d.job_id)) > clock_timestamp()
RETURNING d.*;

-- name: insert_restored
-- A single deletion taken back: the version returns under its id, inactive, and a removed flow's Draft as the Draft.
-- Its revision is above every one it ever had: after an older content of it comes back, a newer one may still be in the
-- trash. A taken name or a second Draft breaks a constraint, which the caller sees as AlreadyExists or Conflict.
INSERT INTO flow_versions (id, company_id, flow_id, iteration, name, name_folded, status, enabled, notes, body,
                           digest, revision, last_deployed_at, created_at, updated_at,
                           created_by_type, created_by_id, updated_by_type, updated_by_id)
VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $5::text IS NULL THEN 'Draft' ELSE 'Inactive' END, $7, $8, $9, $10,
        1 + greatest($11::integer, (SELECT max(revision) FROM deleted_versions WHERE flow_id = $3 AND version_id = $1)),
        $12, $13, clock_timestamp(), $14, $15, $16, $17)
RETURNING *;
