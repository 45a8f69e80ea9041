-- A relay holds a company's dispatch jobs back as it does its bulk jobs: one company's thousand runs at a minute's edge
-- leave room for another's.

-- The same as the function of three arguments (migration 0007), which the release before this one calls, with a cap on
-- the dispatch jobs of a company that are delivered or running.
CREATE FUNCTION claim_staged(most integer, lease interval, bulk_cap integer, dispatch_cap integer)
RETURNS TABLE (id bigint, attempt integer, queue text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1346720332), set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH busy AS (
        SELECT j.company_id, j.queue, count(*) AS jobs
        FROM jobs j
        WHERE j.finished_at IS NULL AND j.queue IN ('bulk', 'dispatch')
          AND (j.deliver_at IS NULL OR j.relayed_until > clock_timestamp())
        GROUP BY j.company_id, j.queue
    ), due AS (
        SELECT j.id, j.deliver_at, j.queue, coalesce(b.jobs, 0)
               + row_number() OVER (PARTITION BY j.company_id, j.queue ORDER BY j.deliver_at, j.id) AS place
        FROM jobs j
        LEFT JOIN busy b ON b.company_id = j.company_id AND b.queue = j.queue
        WHERE j.deliver_at <= (SELECT clock_timestamp()) AND coalesce(j.relayed_until < clock_timestamp(), true)
    ), chosen AS (
        SELECT d.id FROM due d
        WHERE d.place <= CASE d.queue WHEN 'bulk' THEN $3 WHEN 'dispatch' THEN $4 ELSE d.place END
        ORDER BY d.deliver_at, d.id LIMIT $1
    )
    UPDATE jobs j
    SET relayed_until = clock_timestamp() + $2::interval
    FROM chosen c
    WHERE j.id = c.id AND j.deliver_at IS NOT NULL
    RETURNING j.id, j.attempt, j.queue;
END
$$;
