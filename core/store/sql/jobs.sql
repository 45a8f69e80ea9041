-- name: stage_job
-- Puts a job beside the fact it follows from, in the same transaction; the relay delivers it after the commit.
INSERT INTO jobs (public_id, company_id, application_id, flow_id, parent_id, kind, queue, arguments, total,
                  undoes, requested_by_type, requested_by_id, deliver_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_timestamp())
RETURNING id;

-- name: stage_refused_job
-- A job that must not run, kept with its reason so that whoever looks at its parent sees why nothing was sent.
INSERT INTO jobs (public_id, company_id, application_id, flow_id, parent_id, kind, queue, arguments,
                  requested_by_type, requested_by_id, status, finished_at, error_code, error_message)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'failed', clock_timestamp(), $11, $12)
RETURNING id;

-- name: claim_job
-- The one way into in_progress. A delivery for another attempt, a second delivery or a cancelled job finds no row.
UPDATE jobs
SET status = 'in_progress', attempt = attempt + 1, leased_until = clock_timestamp() + $3::interval,
    deliver_at = NULL, relayed_until = NULL, delivered_at = NULL,
    started_at = coalesce(started_at, clock_timestamp()), revision = revision + 1
WHERE id = $1 AND attempt = $2 AND status = 'queued'
RETURNING id, public_id, company_id, application_id, flow_id, kind, attempt, failures, arguments;

-- name: hold_job
-- The fence: first statement of every transaction of a job. No row means that somebody else has the job by now.
SELECT id, public_id, company_id, application_id, flow_id, kind, total, position, removed, failed, reasons,
       cancel_requested, undo_until, arguments, failures, undoes, walked, requested_by_type, requested_by_id
FROM jobs
WHERE id = $1 AND attempt = $2 AND status = 'in_progress'
FOR NO KEY UPDATE;

-- name: lock_job
-- For whatever changes a job from outside of it. Decide in a later statement.
SELECT id FROM jobs WHERE id = $1 AND company_id = $2 FOR NO KEY UPDATE;

-- name: read_locked_job
-- The job as it stands now that it is locked.
SELECT id, public_id, company_id, application_id, flow_id, kind, status, total, position, removed, failed, reasons,
       cancel_requested, undo_until, arguments, failures, undoes, walked, requested_by_type, requested_by_id
FROM jobs WHERE id = $1;

-- name: stamp_undo_until
-- The first batch fixes until when its versions can come back; all later ones are kept as long.
UPDATE jobs SET undo_until = clock_timestamp() + $2::interval WHERE id = $1 RETURNING undo_until;

-- name: advance_job
-- Progress, cursor and a new lease, in the transaction that did the work.
UPDATE jobs
SET position = $2, removed = $3, failed = $4, reasons = $5, walked = $7, failures = 0,
    leased_until = clock_timestamp() + $6::interval, revision = revision + 1
WHERE id = $1;

-- name: conclude_job
-- A terminal state; what was not reached is counted, so that total = removed + failed.
UPDATE jobs
SET status = $2, removed = $3, failed = $4, reasons = $5, error_code = $6, error_message = $7, position = $8,
    leased_until = NULL, deliver_at = NULL, relayed_until = NULL, delivered_at = NULL,
    finished_at = clock_timestamp(), revision = revision + 1
WHERE id = $1 AND finished_at IS NULL;

-- name: restage_job
-- Back to the queue: after a yield at once ($2 = 0), after a failure later. $3 is added to the failures.
UPDATE jobs
SET status = 'queued', leased_until = NULL, relayed_until = NULL, delivered_at = NULL,
    deliver_at = clock_timestamp() + make_interval(secs => $2), failures = failures + $3,
    error_code = $4, error_message = $5, revision = revision + 1
WHERE id = $1 AND finished_at IS NULL;

-- name: request_cancel
-- Tells a running job to stop at its next batch.
UPDATE jobs SET cancel_requested = true, revision = revision + 1 WHERE id = $1 AND NOT cancel_requested;

-- name: find_expired_leases
-- Jobs whose worker has not been heard of. SKIP LOCKED: a row that is locked is being worked on after all, or
-- another rescuer has it.
SELECT id, company_id FROM jobs
WHERE finished_at IS NULL AND status = 'in_progress' AND leased_until < clock_timestamp()
ORDER BY id LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: read_job
-- One job of a company by public id.
SELECT * FROM jobs WHERE public_id = $2 AND company_id = $1;

-- name: read_job_by_number
-- One job of a company by its bigint.
SELECT * FROM jobs WHERE id = $2 AND company_id = $1;

-- name: read_job_anywhere
-- One job by public id, for the command line.
SELECT * FROM jobs WHERE public_id = $1;

-- name: list_jobs
-- A page of a company's jobs of the kinds the caller may see; null means any application or status. Ids rise with
-- acceptance.
SELECT * FROM jobs
WHERE company_id = $1 AND kind = ANY($2::text[])
  AND ($3::bigint IS NULL OR application_id = $3)
  AND ($4::text[] IS NULL OR status = ANY($4))
ORDER BY id DESC LIMIT $5 OFFSET $6;

-- name: count_jobs
-- How many jobs list_jobs has to page through.
SELECT count(*) FROM jobs
WHERE company_id = $1 AND kind = ANY($2::text[])
  AND ($3::bigint IS NULL OR application_id = $3)
  AND ($4::text[] IS NULL OR status = ANY($4));

-- name: list_recent_jobs
-- The newest jobs of all companies, for the command line; null means any status.
SELECT * FROM jobs WHERE $1::text IS NULL OR status = $1 ORDER BY id DESC LIMIT $2;

-- name: list_notifications
-- The letters and callbacks that tell about these jobs.
SELECT parent_id, public_id, kind, arguments, status, attempt, error_code, error_message
FROM jobs WHERE parent_id = ANY($1::bigint[]) ORDER BY id;

-- name: expire_jobs
-- Moves jobs past their keep time to tombstones, oldest first. A job goes only after those that tell about it have
-- ended, and takes them along; and only after what it deleted is gone, since that is kept under its name.
WITH expired AS (
    SELECT id FROM jobs j
    WHERE finished_at < clock_timestamp() - $1::interval AND parent_id IS NULL
      AND (undo_until IS NULL OR purged_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM jobs c WHERE c.parent_id = j.id AND c.finished_at IS NULL)
    ORDER BY finished_at LIMIT $2
    FOR UPDATE SKIP LOCKED
), remembered AS (
    INSERT INTO job_tombstones (public_id, job_id, company_id, application_id, kind)
    SELECT public_id, id, company_id, application_id, kind
    FROM jobs WHERE id IN (SELECT id FROM expired) OR parent_id IN (SELECT id FROM expired)
)
DELETE FROM jobs WHERE id IN (SELECT id FROM expired);

-- name: find_tombstone
-- Whether a job of this company once had this public id or number.
SELECT application_id, kind FROM job_tombstones WHERE company_id = $1 AND (public_id = $2 OR job_id = $3);

-- name: forget_tombstones
-- After this even the memory of an expired job ends, and its address answers 404.
DELETE FROM job_tombstones WHERE expired_at < clock_timestamp() - $1::interval;

-- name: find_undo
-- The undo of a job, if one was ever accepted.
SELECT public_id FROM jobs WHERE undoes = $1;

-- name: read_revisions
-- What watchers compare with what they last showed.
SELECT id, revision FROM jobs WHERE id = ANY($1::bigint[]);

-- name: give_up_undo
-- An ended undo no longer stands for its deletion, which has only one; its arguments still name it.
UPDATE jobs SET undoes = NULL WHERE id = $1 AND company_id = $2 AND finished_at IS NOT NULL;

-- name: is_undoable
-- Whether what the job deleted is still kept, by the database's clock; the job is locked, so the pruner waits.
SELECT undo_until > clock_timestamp() AND purged_at IS NULL FROM jobs WHERE id = $1;

-- name: read_origin_kind
-- The kind of the job that this one takes back or tells about, or its own: what decides who may cancel it.
SELECT coalesce(o.kind, j.kind) FROM jobs j
LEFT JOIN jobs o ON o.id = coalesce(j.undoes, j.parent_id) AND o.company_id = j.company_id
WHERE j.id = $2 AND j.company_id = $1;

-- name: record_outcome
-- What a job that is not about many items has to say of its end, in the transaction that ends it.
UPDATE jobs SET outcome = $2 WHERE id = $1;

-- name: forget_job
-- Of a job that nobody was told of and whose work accounts for itself; held by this transaction.
DELETE FROM jobs WHERE id = $1;
