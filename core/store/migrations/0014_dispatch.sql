-- A relay holds a company's dispatch jobs back as it does its bulk jobs: one company's thousand runs at a minute's edge
-- leave room for another's.

-- The same as the function of three arguments (migration 0007), which the release before this one calls, with a cap on
-- the requests that the dispatch jobs of a company make at once: each makes one for every run of its own, up to
-- `in_flight`.
CREATE FUNCTION claim_staged(most integer, lease interval, bulk_cap integer, dispatch_cap integer, in_flight integer)
RETURNS TABLE (id bigint, attempt integer, queue text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1346720332), set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH busy AS (
        SELECT j.company_id, j.queue,
               sum(CASE j.queue WHEN 'bulk' THEN 1
                   ELSE least(jsonb_array_length(j.arguments -> 'run_ids'), $5) END) AS weight
        FROM jobs j
        WHERE j.finished_at IS NULL AND j.queue IN ('bulk', 'dispatch')
          AND (j.deliver_at IS NULL OR j.relayed_until > clock_timestamp())
        GROUP BY j.company_id, j.queue
    ), due AS (
        SELECT j.id, j.company_id, j.deliver_at, j.queue,
               CASE j.queue WHEN 'dispatch' THEN least(jsonb_array_length(j.arguments -> 'run_ids'), $5) ELSE 1 END
               AS weight
        FROM jobs j
        WHERE j.deliver_at <= (SELECT clock_timestamp()) AND coalesce(j.relayed_until < clock_timestamp(), true)
    ), placed AS (
        SELECT d.id, d.deliver_at, d.queue, coalesce(b.weight, 0)
               + sum(d.weight) OVER (PARTITION BY d.company_id, d.queue ORDER BY d.deliver_at, d.id) AS place
        FROM due d
        LEFT JOIN busy b ON b.company_id = d.company_id AND b.queue = d.queue
    ), chosen AS (
        SELECT p.id FROM placed p
        WHERE p.place <= CASE p.queue WHEN 'bulk' THEN $3 WHEN 'dispatch' THEN $4 ELSE p.place END
        ORDER BY p.deliver_at, p.id LIMIT $1
    )
    UPDATE jobs j
    SET relayed_until = clock_timestamp() + $2::interval
    FROM chosen c
    WHERE j.id = c.id AND j.deliver_at IS NOT NULL
    RETURNING j.id, j.attempt, j.queue;
END
$$;
