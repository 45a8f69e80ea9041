-- name: make_weeks
-- The partitions of these weeks, each by its Monday, where one is missing. Returns how many rows had to go to the
-- default partition before there was one.
SELECT coalesce(sum(make_partition('runs', week, 7)), 0)::bigint
FROM unnest($1::date[]) AS week
WHERE to_regclass('runs_' || to_char(week, 'YYYYMMDD')) IS NULL;

-- name: take_job_ids
-- Numbers for jobs that are written together with their runs.
SELECT nextval(pg_get_serial_sequence('jobs', 'id')) FROM generate_series(1, $1::integer);

-- name: insert_due
-- Runs of locked schedules and, for those that are to begin, the jobs that dispatch them: $8 and $9 are the jobs'
-- numbers and public ids, of which $7 says whose each run is. An instant that has its account already is left alone, and
-- a job without a run is not written. $10 is what made them begin, where nothing was due. What is not to be run has
-- ended; the metrics are told so by the number, of five minutes at a time. Returns how many runs were written.
WITH stored AS (
    INSERT INTO runs (company_id, flow_id, flow_version_id, schedule_id, scheduled_for, trigger, trigger_key, status,
                      reason, buffered, dst_merged, version_name, version_iteration, version_revision, digest,
                      finished_at, job_id)
    SELECT st.company_id, st.flow_id, st.flow_version_id, st.schedule_id, g.scheduled_for,
           coalesce($10, CASE WHEN t.id IS NULL THEN 'schedule' ELSE 'timer' END), t.trigger_key, g.status,
           g.reason, g.buffered, g.dst_merged, v.name, v.iteration, v.revision, v.digest,
           CASE WHEN g.status IN ('skipped', 'missed') THEN clock_timestamp() END, g.job_id
    FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::bigint[])
         AS g (schedule_id, scheduled_for, status, reason, buffered, dst_merged, job_id)
    JOIN schedule_states st ON st.schedule_id = g.schedule_id
    JOIN flow_versions v ON v.id = st.flow_version_id AND v.company_id = st.company_id
    LEFT JOIN timers t ON t.id = st.schedule_id
    ON CONFLICT DO NOTHING
    RETURNING id, company_id, flow_id, flow_version_id, scheduled_for, status, finished_at, job_id
), told AS (
    INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, number)
    SELECT company_id, flow_id, flow_version_id, status, min(finished_at), count(*)
    FROM stored WHERE finished_at IS NOT NULL
    GROUP BY company_id, flow_id, flow_version_id, status, date_bin('5 minutes', finished_at, 'epoch')
), staged AS (
    INSERT INTO jobs (id, public_id, company_id, kind, queue, arguments, requested_by_type, deliver_at)
    OVERRIDING SYSTEM VALUE
    SELECT s.job_id, j.public_id, s.company_id, 'dispatch_runs', 'dispatch',
           jsonb_build_object('run_ids', jsonb_agg(s.id ORDER BY s.scheduled_for, s.id),
                              'first_at', min(s.scheduled_for), 'last_at', max(s.scheduled_for)),
           'scheduler', clock_timestamp()
    FROM stored s
    JOIN unnest($8::bigint[], $9::text[]) AS j (id, public_id) ON j.id = s.job_id
    GROUP BY s.job_id, j.public_id, s.company_id
)
SELECT count(*) FROM stored;

-- name: supersede
-- The run of each of these locked schedules that waited for another one to end: a later one waits now. Not those of a
-- repair, which all have their turn.
WITH skipped AS (
    UPDATE runs
    SET status = 'skipped', reason = 'overlap', buffered = false, finished_at = clock_timestamp()
    WHERE schedule_id = ANY($1::bigint[]) AND buffered AND status = 'queued' AND trigger <> 'repair'
    RETURNING company_id, flow_id, flow_version_id, schedule_id, status, finished_at
), told AS (
    INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at)
    SELECT company_id, flow_id, flow_version_id, status, finished_at FROM skipped
)
SELECT schedule_id FROM skipped;

-- name: list_schedules_of
-- Whose states are to be locked before these runs are; those started by hand have none. The first and the last of the
-- instants name the partitions, here and wherever runs are looked up: planning all of them took longer than the work.
-- Each run's own instant is not compared with as well, its id is enough: where the partitions are ruled out twice, for
-- the parameters and then for each row of a join, PostgreSQL 18 forgets the row that a statement had to wait for.
SELECT DISTINCT schedule_id FROM runs
WHERE id = ANY($1::bigint[]) AND scheduled_for BETWEEN $2 AND $3 AND schedule_id IS NOT NULL
ORDER BY schedule_id;

-- name: lock_active
-- Of these runs those that still go on, now that their schedules are locked; as they are once the wait is over.
SELECT id, scheduled_for, schedule_id, company_id, buffered FROM runs
WHERE id = ANY($1::bigint[]) AND scheduled_for BETWEEN $2 AND $3 AND status IN ('queued', 'started')
ORDER BY id
FOR NO KEY UPDATE;

-- name: end_runs
-- The end of locked runs that go on. A started run keeps when the runner took it; one that never began has no duration.
-- The metrics are told in the same statement, by a row of their own for each: numbers that many runs share would be
-- written by one transaction after the other.
WITH ended AS (
    UPDATE runs r
    SET status = g.status, reason = g.reason, message = g.message, result = g.result, finished_at = clock_timestamp(),
        due_at = NULL, buffered = false, started_at = coalesce(r.started_at, g.started_at)
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::json[], $6::timestamptz[])
         AS g (id, status, reason, message, result, started_at)
    WHERE r.id = g.id AND r.scheduled_for BETWEEN $7 AND $8
    RETURNING r.company_id, r.flow_id, r.flow_version_id, r.status, r.finished_at, r.attempts, r.started_at,
              r.scheduled_for, octet_length(r.payload) AS payload_bytes, r.result ->> 'metrics' AS metrics
)
INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, attempts, duration_us, lateness_us,
                         payload_bytes, metrics)
SELECT company_id, flow_id, flow_version_id, status, finished_at, attempts,
       extract(epoch FROM finished_at - started_at) * 1000000,
       extract(epoch FROM coalesce(started_at, finished_at) - scheduled_for) * 1000000, payload_bytes,
       nullif(metrics, '{}')
FROM ended;

-- name: find_first_buffered
-- Of each of these locked schedules the run whose turn it is now.
SELECT DISTINCT ON (schedule_id) id, scheduled_for, schedule_id, company_id
FROM runs
WHERE schedule_id = ANY($1::bigint[]) AND buffered AND status = 'queued'
ORDER BY schedule_id, scheduled_for;

-- name: list_buffered
-- Whatever of a locked schedule waits for an earlier run of it.
SELECT id, scheduled_for, schedule_id, company_id FROM runs WHERE schedule_id = $1 AND buffered AND status = 'queued';

-- name: stage_runs
-- Hands runs that go on to dispatch jobs: $2 says to which each goes, $3 and $4 are the jobs' numbers and public ids.
-- Nothing else looks after a run from then on.
WITH handed AS (
    UPDATE runs r
    SET job_id = g.job_id, buffered = false, due_at = NULL
    FROM unnest($1::bigint[], $2::bigint[]) AS g (id, job_id)
    WHERE r.id = g.id AND r.scheduled_for BETWEEN $5 AND $6 AND r.status IN ('queued', 'started')
    RETURNING r.id, r.company_id, r.scheduled_for, r.job_id
)
INSERT INTO jobs (id, public_id, company_id, kind, queue, arguments, requested_by_type, deliver_at)
OVERRIDING SYSTEM VALUE
SELECT h.job_id, j.public_id, h.company_id, 'dispatch_runs', 'dispatch',
       jsonb_build_object('run_ids', jsonb_agg(h.id ORDER BY h.scheduled_for, h.id),
                          'first_at', min(h.scheduled_for), 'last_at', max(h.scheduled_for)),
       'scheduler', clock_timestamp()
FROM handed h
JOIN unnest($3::bigint[], $4::text[]) AS j (id, public_id) ON j.id = h.job_id
GROUP BY h.job_id, j.public_id, h.company_id;

-- name: list_default_weeks
-- The Mondays of what is in the default partition, where nothing should be.
SELECT DISTINCT date_trunc('week', scheduled_for AT TIME ZONE 'UTC')::date AS week FROM runs_default LIMIT 100;

-- name: drop_week
-- The oldest week of the ledger that is past its keep time, whole; null if there is none.
SELECT drop_partition('runs', (clock_timestamp() AT TIME ZONE 'UTC')::date - $1::integer, 7);

-- name: list_missed
-- The oldest missed instants of a locked schedule that have a row.
SELECT id, scheduled_for, schedule_id, company_id FROM runs
WHERE company_id = $1 AND schedule_id = $2 AND status = 'missed'
ORDER BY scheduled_for LIMIT $3;

-- name: reopen_missed
-- Missed instants that are run after all, each when its turn comes; their schedule is locked. The metrics are told that
-- so many fewer were missed, in the period that has counted them: when they had been given up is gone once they wait.
WITH missed AS (
    SELECT id, scheduled_for, company_id, flow_id, flow_version_id, status, finished_at FROM runs
    WHERE company_id = $1 AND schedule_id = $2 AND scheduled_for = ANY($3::timestamptz[]) AND status = 'missed'
), told AS (
    INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, number)
    SELECT company_id, flow_id, flow_version_id, status, min(finished_at), -count(*)
    FROM missed
    GROUP BY company_id, flow_id, flow_version_id, status, date_bin('5 minutes', finished_at, 'epoch')
)
UPDATE runs r
SET status = 'queued', trigger = 'repair', reason = NULL, message = NULL, finished_at = NULL, buffered = true
FROM missed m
WHERE r.company_id = $1 AND r.id = m.id AND r.scheduled_for = m.scheduled_for;
