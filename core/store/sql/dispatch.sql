-- name: find_sendable
-- Runs of a job that are to be sent and are not under way ($6), by the priority of their flows and then as they were
-- due. The two instants name the partitions. A flow that was deleted meanwhile still says where its last runs go. The
-- company is no index's here, as in put_off_runs.
SELECT r.id, r.scheduled_for, r.schedule_id, r.message_key, r.flow_id, r.flow_version_id, r.version_name,
       r.version_iteration, r.version_revision, r.digest, r.trigger, r.trigger_key, r.created_at,
       extract(epoch FROM clock_timestamp() - r.created_at)::float8 AS age_seconds,
       coalesce(f.runner_url, d.runner_url, c.runner_url) AS runner_url,
       coalesce(f.run_timeout_seconds, d.run_timeout_seconds, 3600) AS run_timeout_seconds
FROM runs r
JOIN companies c ON c.id = r.company_id
LEFT JOIN flows f ON f.id = r.flow_id AND f.company_id = r.company_id
LEFT JOIN deleted_flows d ON d.id = r.flow_id AND d.company_id = r.company_id
WHERE r.company_id + 0 = $1 AND r.id = ANY($2::bigint[]) AND r.scheduled_for BETWEEN $3 AND $4
  AND r.job_id = $5 AND r.status = 'queued' AND NOT r.buffered AND r.due_at IS NULL
  AND r.id <> ALL($6::bigint[])
ORDER BY coalesce(f.flow_priority, 3), r.scheduled_for, r.id;

-- name: begin_tries
-- Counts a try of each of these runs before it is made: a worker that dies in it has used it up. Whoever ended one of
-- them meanwhile has taken it out. The company is no index's here, as in put_off_runs.
UPDATE runs
SET attempts = attempts + 1, dispatched_at = coalesce(dispatched_at, clock_timestamp())
WHERE company_id + 0 = $1 AND id = ANY($2::bigint[]) AND scheduled_for BETWEEN $3 AND $4
  AND job_id = $5 AND status = 'queued' AND due_at IS NULL
RETURNING id, attempts, clock_timestamp() AS began_at, payload, payload_type;

-- name: read_bodies
-- The contents of versions as they were when their runs were claimed: in place, or where they went since.
SELECT v.id AS version_id, v.digest, v.body
FROM flow_versions v
JOIN unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS wanted (flow_id, version_id, digest)
  ON v.id = wanted.version_id AND v.digest = wanted.digest
WHERE v.company_id = $1
UNION ALL
SELECT d.version_id, d.digest, d.body
FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS wanted (flow_id, version_id, digest)
CROSS JOIN LATERAL (
    SELECT t.version_id, t.digest, t.body FROM deleted_versions t
    WHERE t.company_id = $1 AND t.flow_id = wanted.flow_id AND t.version_id = wanted.version_id
      AND t.digest = wanted.digest
    ORDER BY t.id DESC LIMIT 1
) d;

-- name: put_off_runs
-- Back to waiting: nobody holds them until $3 seconds from now, each its own, and then they are staged again. The
-- company is added to nothing so that no index begins with it here: of one company everything may be due at once. The
-- two instants name the partitions.
UPDATE runs r
SET due_at = clock_timestamp() + make_interval(secs => w.seconds), reason = w.reason, message = w.message
FROM unnest($2::bigint[], $3::float8[], $4::text[], $5::text[]) AS w (id, seconds, reason, message)
WHERE r.company_id + 0 = $1 AND r.id = w.id AND r.scheduled_for BETWEEN $7 AND $8
  AND r.job_id = $6 AND r.status = 'queued' AND NOT r.buffered;

-- name: mark_started
-- The runner has them and will report; each is waited for as long as its flow says. One whose report was faster than
-- this has ended and is left alone. The company is no index's here, as in put_off_runs.
UPDATE runs r
SET status = 'started', started_at = w.began_at, reason = NULL, message = NULL,
    due_at = clock_timestamp() + make_interval(secs => w.seconds)
FROM unnest($2::bigint[], $3::timestamptz[], $4::float8[]) AS w (id, began_at, seconds)
WHERE r.company_id + 0 = $1 AND r.id = w.id AND r.scheduled_for BETWEEN $6 AND $7
  AND r.job_id = $5 AND r.status = 'queued' AND NOT r.buffered;

-- name: keep_late_results
-- The first thing that a runner said of a run after its end. It changes nothing else. The company is no index's here,
-- as in put_off_runs.
UPDATE runs r
SET late_result = w.result::json
FROM unnest($2::bigint[], $3::text[]) AS w (id, result)
WHERE r.company_id + 0 = $1 AND r.id = w.id AND r.scheduled_for BETWEEN $4 AND $5
  AND r.finished_at IS NOT NULL AND r.late_result IS NULL;

-- name: keep_logs
-- What runners told of their runs, in the order in which they told it.
INSERT INTO run_logs (company_id, run_id, logged_at, level, message, details)
SELECT $1, w.run_id, w.logged_at, w.level, w.message, w.details::json
FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
     AS w (run_id, logged_at, level, message, details, place)
ORDER BY w.place;

-- name: list_logs
-- A page of what was told of one run, oldest first.
SELECT id, received_at, logged_at, level, message, details
FROM run_logs WHERE company_id = $1 AND run_id = $2 ORDER BY id LIMIT $3 OFFSET $4;

-- name: count_logs
-- How many lines list_logs has to page through.
SELECT count(*) FROM run_logs WHERE company_id = $1 AND run_id = $2;

-- name: lock_circuits
-- What is known against these runners. Locked in one order, and after every run: whoever sends decides alone who looks
-- whether a runner is back.
SELECT runner, failures, extract(epoch FROM open_until - clock_timestamp())::float8 AS open_seconds
FROM runner_circuits WHERE company_id = $1 AND runner = ANY($2::text[])
ORDER BY runner
FOR NO KEY UPDATE;

-- name: open_circuit
-- Notes failures in a row, and until when the runner is left alone; null: not yet.
INSERT INTO runner_circuits (company_id, runner, failures, open_until, changed_at)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), clock_timestamp())
ON CONFLICT (company_id, runner)
DO UPDATE SET failures = excluded.failures, open_until = excluded.open_until, changed_at = excluded.changed_at;

-- name: close_circuit
-- A runner that answered: nothing is known against it any more.
DELETE FROM runner_circuits WHERE company_id = $1 AND runner = $2;

-- name: find_waiting
-- Runs whose next try is due, of all companies. SKIP LOCKED: somebody is ending it, or another timekeeper has it.
SELECT id, scheduled_for, schedule_id, company_id, buffered FROM runs
WHERE due_at <= (SELECT clock_timestamp()) AND status = 'queued'
ORDER BY due_at LIMIT $1
FOR NO KEY UPDATE SKIP LOCKED;

-- name: find_unreported
-- Runs that their runners took and did not report in time, of all companies. Not locked: their schedules come first.
SELECT id, scheduled_for, schedule_id, company_id, buffered FROM runs
WHERE due_at <= (SELECT clock_timestamp()) AND status = 'started'
ORDER BY due_at LIMIT $1;

-- name: take_back
-- Runs that a job held when it ended before its time: they wait again, for nothing but the next look. The company is no
-- index's here, as in put_off_runs.
UPDATE runs
SET due_at = clock_timestamp()
WHERE company_id + 0 = $1 AND id = ANY($2::bigint[]) AND scheduled_for BETWEEN $3 AND $4
  AND job_id = $5 AND status = 'queued' AND NOT buffered AND due_at IS NULL;

-- name: next_due_in
-- Seconds until the next run's time comes; null if none waits.
SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8 FROM runs WHERE due_at IS NOT NULL;
