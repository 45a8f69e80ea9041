-- name: insert_gaps
-- Instants in a row of locked schedules that are not run, with the expression that they were due by.
INSERT INTO run_gaps (company_id, flow_id, flow_version_id, schedule_id, first_at, until_at, instants, reason,
                      cron_string, timezone, every_seconds)
SELECT st.company_id, st.flow_id, st.flow_version_id, st.schedule_id, g.first_at, g.until_at, g.instants, g.reason,
       coalesce(s.cron_string, t.cron_string), coalesce(s.timezone, t.timezone), t.every_seconds
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::bigint[], $5::text[])
     AS g (schedule_id, first_at, until_at, instants, reason)
JOIN schedule_states st ON st.schedule_id = g.schedule_id
LEFT JOIN schedules s ON s.id = st.schedule_id AND s.company_id = st.company_id
LEFT JOIN timers t ON t.id = st.schedule_id AND t.company_id = st.company_id
ON CONFLICT DO NOTHING;

-- name: prune_gaps
-- What is past its keep time, oldest first.
DELETE FROM run_gaps WHERE id IN (
    SELECT id FROM run_gaps WHERE until_at < clock_timestamp() - $1::interval ORDER BY until_at LIMIT $2
    FOR UPDATE SKIP LOCKED
);
