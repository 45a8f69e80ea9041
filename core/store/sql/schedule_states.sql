-- name: lock_due
-- Schedules with something due in ($1, $2], the earliest first. Those that somebody else accounts for, edits or ends a
-- run of are left to them, and where another version was to be deployed before that instant, that comes first. What is
-- decided about one is read in a later statement. Not ordered by the id as well: where a hundred thousand are due at
-- one instant, each claim would sort all that are left. Who waits for nobody may lock in any order.
SELECT schedule_id FROM schedule_states st
WHERE next_due > $1 AND next_due <= $2
  AND NOT EXISTS (SELECT FROM flow_versions v WHERE v.flow_id = st.flow_id AND v.deploy_at < st.next_due)
ORDER BY next_due LIMIT $3
FOR NO KEY UPDATE OF st SKIP LOCKED;

-- name: list_live
-- The live schedules and timers of a locked flow's deployed version. They are locked by their ids in a statement of
-- their own: in this one, PostgreSQL would leave out rows that changed while it waited for them.
SELECT st.schedule_id
FROM flow_versions v
JOIN LATERAL (
    SELECT s.id FROM schedules s WHERE s.flow_id = v.flow_id AND s.flow_version_id = v.id AND s.company_id = v.company_id
    UNION ALL
    SELECT t.id FROM timers t WHERE t.flow_version_id = v.id AND t.company_id = v.company_id
) AS d ON true
JOIN schedule_states st ON st.schedule_id = d.id
WHERE v.flow_id = $2 AND v.company_id = $1 AND v.status = 'Deployed' AND st.live_since IS NOT NULL
ORDER BY st.schedule_id;

-- name: lock_states
-- Before these schedules are accounted for, edited, or runs of them ended or promoted. Waits for whoever is at one of
-- them. Where there is no row, nobody counts.
SELECT schedule_id FROM schedule_states WHERE schedule_id = ANY($1::bigint[]) ORDER BY schedule_id FOR NO KEY UPDATE;

-- name: read_standings
-- Where locked schedules stand, by what rules, and whether their version and flow let them fire.
SELECT st.schedule_id, st.company_id, st.next_due, st.active_runs, st.buffered_runs,
       coalesce(s.cron_string, t.cron_string) AS cron_string, coalesce(s.timezone, t.timezone) AS timezone,
       t.every_seconds, s.overlap_policy, s.catchup_window_seconds, coalesce(s.paused, false) AS paused,
       coalesce(v.status = 'Deployed' AND (s.id IS NOT NULL OR t.id IS NOT NULL), false) AS live,
       v.enabled AND f.enabled AND f.removing_since IS NULL AS enabled,
       (SELECT p.deploy_at FROM flow_versions p WHERE p.flow_id = st.flow_id AND p.deploy_at IS NOT NULL) AS planned_at
FROM schedule_states st
LEFT JOIN schedules s ON s.id = st.schedule_id AND s.company_id = st.company_id
                     AND s.flow_version_id = st.flow_version_id AND s.deployed_at IS NOT NULL
LEFT JOIN timers t ON t.id = st.schedule_id AND t.company_id = st.company_id
LEFT JOIN flow_versions v ON v.id = st.flow_version_id AND v.company_id = st.company_id
LEFT JOIN flows f ON f.id = st.flow_id AND f.company_id = st.company_id
WHERE st.schedule_id = ANY($1::bigint[])
ORDER BY st.next_due, st.schedule_id;

-- name: advance
-- Where locked schedules stand once their account is written.
UPDATE schedule_states st
SET next_due = g.next_due, active_runs = g.active_runs, buffered_runs = g.buffered_runs
FROM unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::integer[])
     AS g (schedule_id, next_due, active_runs, buffered_runs)
WHERE st.schedule_id = g.schedule_id;

-- name: silence
-- These locked schedules are not live any more; what runs of them go on is still counted.
UPDATE schedule_states SET live_since = NULL, next_due = NULL WHERE schedule_id = ANY($1::bigint[]);

-- name: list_wanted
-- What of a flow should be live: the schedules and timers of its deployed version, with the rules they have now.
SELECT d.id, d.flow_version_id, d.cron_string, d.timezone, d.every_seconds, d.deployed_at,
       st.live_since, st.next_due, st.flow_version_id AS live_version_id
FROM flow_versions v
JOIN LATERAL (
    SELECT s.id, s.flow_version_id, s.cron_string, s.timezone, NULL::integer AS every_seconds, s.deployed_at
    FROM schedules s
    WHERE s.flow_id = v.flow_id AND s.flow_version_id = v.id AND s.company_id = v.company_id
      AND s.deployed_at IS NOT NULL
    UNION ALL
    SELECT t.id, t.flow_version_id, t.cron_string, t.timezone, t.every_seconds, NULL
    FROM timers t WHERE t.flow_version_id = v.id AND t.company_id = v.company_id
) AS d ON true
LEFT JOIN schedule_states st ON st.schedule_id = d.id
WHERE v.flow_id = $2 AND v.company_id = $1 AND v.status = 'Deployed'
ORDER BY d.id;

-- name: enliven
-- Schedules that count from $6 on, each with its first instant. One that was live before keeps its runs' counts.
INSERT INTO schedule_states AS st (schedule_id, company_id, flow_id, flow_version_id, live_since, next_due)
SELECT g.schedule_id, $1, $2, g.flow_version_id, $6, g.next_due
FROM unnest($3::bigint[], $4::bigint[], $5::timestamptz[]) AS g (schedule_id, flow_version_id, next_due)
ORDER BY g.schedule_id
ON CONFLICT (schedule_id) DO UPDATE
SET live_since = coalesce(st.live_since, excluded.live_since), next_due = excluded.next_due,
    flow_id = excluded.flow_id, flow_version_id = excluded.flow_version_id;

-- name: read_plan
-- When another version of this locked flow is, or was, to be deployed; null if none is.
SELECT deploy_at FROM flow_versions WHERE flow_id = $2 AND company_id = $1 AND deploy_at IS NOT NULL;

-- name: read_passed
-- The latest instant in ($3, $4] that a schedule or timer of a locked flow, or a former one, has an account of: after
-- now there is one only where the clock was set back. Null where there is none.
SELECT greatest(
    (SELECT max(r.scheduled_for) FROM runs r
     WHERE r.flow_id = $2 AND r.company_id = $1 AND r.schedule_id IS NOT NULL
       AND r.scheduled_for > $3 AND r.scheduled_for <= $4),
    (SELECT max(g.until_at) FROM run_gaps g
     WHERE g.flow_id = $2 AND g.company_id = $1
       AND g.until_at > $3 + interval '1 second' AND g.until_at <= $4) - interval '1 microsecond'
);

-- name: next_due_in
-- When the next instant is due, in seconds from now by the database; null if none ever is.
SELECT extract(epoch FROM min(next_due) - clock_timestamp())::float8 FROM schedule_states WHERE next_due IS NOT NULL;

-- name: count_ended
-- What ending so many of their runs leaves of the counts of locked schedules.
UPDATE schedule_states st
SET active_runs = active_runs - g.active, buffered_runs = buffered_runs - g.buffered
FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS g (schedule_id, active, buffered)
WHERE st.schedule_id = g.schedule_id;

-- name: take_promotable
-- Of locked schedules those that have a run waiting and none going on: one of those that wait becomes one that goes on.
UPDATE schedule_states
SET active_runs = 1, buffered_runs = buffered_runs - 1
WHERE schedule_id = ANY($1::bigint[]) AND active_runs = 0 AND buffered_runs > 0
RETURNING schedule_id;

-- name: recount
-- The counts of locked schedules as the ledger has them, wherever the two may have come apart.
UPDATE schedule_states st
SET active_runs = counted.active, buffered_runs = counted.buffered
FROM (
    SELECT g.schedule_id, count(r.id) FILTER (WHERE NOT r.buffered) AS active,
           count(r.id) FILTER (WHERE r.buffered) AS buffered
    FROM unnest($1::bigint[]) AS g (schedule_id)
    LEFT JOIN runs r ON r.schedule_id = g.schedule_id AND r.status IN ('queued', 'started')
    GROUP BY g.schedule_id
) AS counted
WHERE st.schedule_id = counted.schedule_id;

-- name: list_suspects
-- The next schedules and timers by id, and in which flows of theirs some should be live and are not, or are never due
-- again. Whoever repairs one looks again under its locks.
WITH page AS (
    (SELECT id, company_id, flow_id, flow_version_id FROM schedules
     WHERE id > $1 AND deployed_at IS NOT NULL ORDER BY id LIMIT $2)
    UNION ALL
    (SELECT id, company_id, flow_id, flow_version_id FROM timers WHERE id > $1 ORDER BY id LIMIT $2)
    ORDER BY id LIMIT $2
)
SELECT count(*) AS size, max(p.id) AS last,
       array_agg(p.company_id ORDER BY p.id) FILTER (WHERE suspect) AS company_ids,
       array_agg(p.flow_id ORDER BY p.id) FILTER (WHERE suspect) AS flow_ids
FROM page p
LEFT JOIN flow_versions v ON v.id = p.flow_version_id AND v.company_id = p.company_id
LEFT JOIN schedule_states st ON st.schedule_id = p.id
CROSS JOIN LATERAL (
    SELECT v.status = 'Deployed' AND (st.live_since IS NULL OR st.next_due IS NULL
                                      OR st.flow_version_id <> p.flow_version_id) AS suspect
) AS judged;

-- name: read_unaccounted_since
-- The latest instant by which a locked schedule that should be live has all its accounts, as far as anything tells.
SELECT greatest(
    CASE WHEN st.flow_version_id = v.id THEN st.live_since END,
    CASE WHEN st.live_since IS NULL OR st.flow_version_id <> v.id THEN v.deployed_at END,
    CASE WHEN st.live_since IS NULL OR st.flow_version_id <> v.id THEN s.updated_at END,
    s.deployed_at,
    (SELECT max(r.scheduled_for) FROM runs r WHERE r.schedule_id = $1 AND r.company_id = $2),
    (SELECT max(g.until_at) - interval '1 microsecond' FROM run_gaps g WHERE g.schedule_id = $1 AND g.company_id = $2)
)
FROM flow_versions v
LEFT JOIN schedules s ON s.id = $1 AND s.company_id = v.company_id
LEFT JOIN schedule_states st ON st.schedule_id = $1
WHERE v.company_id = $2 AND v.id = $3;

-- name: forget_states
-- Of schedules and timers that are gone, once none of their runs goes on.
DELETE FROM schedule_states st
WHERE schedule_id IN (
    SELECT schedule_id FROM schedule_states st
    WHERE live_since IS NULL AND active_runs = 0 AND buffered_runs = 0
      AND NOT EXISTS (SELECT FROM schedules s WHERE s.id = st.schedule_id)
      AND NOT EXISTS (SELECT FROM timers t WHERE t.id = st.schedule_id)
    LIMIT $1
    FOR UPDATE SKIP LOCKED
);
