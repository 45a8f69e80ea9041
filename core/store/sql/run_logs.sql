-- name: make_days
-- The partitions of these days, where one is missing. Returns how many rows had to go to the default partition before.
SELECT coalesce(sum(make_partition('run_logs', day, 1)), 0)::bigint
FROM unnest($1::date[]) AS day
WHERE to_regclass('run_logs_' || to_char(day, 'YYYYMMDD')) IS NULL;

-- name: drop_day
-- The oldest day of logs that is past its keep time, whole; null if there is none.
SELECT drop_partition('run_logs', (clock_timestamp() AT TIME ZONE 'UTC')::date - $1::integer, 1);
