-- name: insert_gaps
-- Instants in a row of locked schedules that are not run, with the expression that they were due by. The metrics count
-- them when they are accounted for, as what a row of its own would be: missed, or skipped.
WITH stored AS (
    INSERT INTO run_gaps (company_id, flow_id, flow_version_id, schedule_id, first_at, until_at, instants, reason,
                          cron_string, timezone, every_seconds)
    SELECT st.company_id, st.flow_id, st.flow_version_id, st.schedule_id, g.first_at, g.until_at, g.instants, g.reason,
           coalesce(s.cron_string, t.cron_string), coalesce(s.timezone, t.timezone), t.every_seconds
    FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[])
         AS g (schedule_id, first_at, until_at, instants, reason)
    JOIN schedule_states st ON st.schedule_id = g.schedule_id
    LEFT JOIN schedules s ON s.id = st.schedule_id AND s.company_id = st.company_id
    LEFT JOIN timers t ON t.id = st.schedule_id AND t.company_id = st.company_id
    ON CONFLICT DO NOTHING
    RETURNING company_id, flow_id, flow_version_id, reason, instants, created_at
)
INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, number)
SELECT company_id, flow_id, flow_version_id, CASE reason WHEN 'missed' THEN 'missed' ELSE 'skipped' END, created_at,
       instants
FROM stored;

-- name: prune_gaps
-- What is past its keep time, oldest first.
DELETE FROM run_gaps WHERE id IN (
    SELECT id FROM run_gaps WHERE until_at < clock_timestamp() - $1::interval ORDER BY until_at LIMIT $2
    FOR UPDATE SKIP LOCKED
);

-- name: list_gaps
-- A page of a schedule's gaps, the newest first.
SELECT * FROM run_gaps WHERE company_id = $1 AND schedule_id = $2 ORDER BY first_at DESC LIMIT $3 OFFSET $4;

-- name: count_gaps
-- How many there are to page through.
SELECT count(*) FROM run_gaps WHERE company_id = $1 AND schedule_id = $2;

-- name: list_missed_gaps
-- The oldest gaps of a locked schedule that nobody meant: what was paused or disabled is not to be made up for.
SELECT * FROM run_gaps
WHERE company_id = $1 AND schedule_id = $2 AND reason = 'missed'
ORDER BY first_at LIMIT $3;

-- name: delete_gap
-- All its instants have accounts of their own now: the metrics count so many missed ones less.
WITH gone AS (
    DELETE FROM run_gaps WHERE company_id = $1 AND id = $2
    RETURNING company_id, flow_id, flow_version_id, instants, created_at
)
INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, number)
SELECT company_id, flow_id, flow_version_id, 'missed', created_at, -instants FROM gone;

-- name: shorten_gap
-- What was repaired of it has accounts of its own; so many instants from $3 on are left, and $5 are not missed any more.
WITH left_over AS (
    UPDATE run_gaps SET first_at = $3, instants = $4 WHERE company_id = $1 AND id = $2
    RETURNING company_id, flow_id, flow_version_id, created_at
)
INSERT INTO run_endings (company_id, flow_id, flow_version_id, status, ended_at, number)
SELECT company_id, flow_id, flow_version_id, 'missed', created_at, -$5::bigint FROM left_over;

-- name: count_missed
-- How many missed instants a schedule has left, in gaps and in rows.
SELECT (SELECT coalesce(sum(instants), 0) FROM run_gaps
        WHERE company_id = $1 AND schedule_id = $2 AND reason = 'missed')::bigint
     + (SELECT count(*) FROM runs WHERE company_id = $1 AND schedule_id = $2 AND status = 'missed');
