-- A relay claims in one round trip, since every job waits for it.

-- What is due for delivery, oldest first and $1 at most, leased to one relay for $2. A company with $3 bulk jobs
-- delivered or running waits its turn. The lease keeps other relays off; if this one dies it runs out and the row is
-- claimed again.
--
-- One relay at a time may claim, so that the cap on running bulk jobs is exact: the second statement begins when the
-- lock is held, and sees what the claim before it has written. Both end with the commit, which need not reach the disk:
-- losing it only repeats a delivery. There is one plan for every call, made once: making it took longer than claiming.
CREATE FUNCTION claim_staged(most integer, lease interval, bulk_cap integer)
RETURNS TABLE (id bigint, attempt integer, queue text)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1346720332), set_config('synchronous_commit', 'off', true);
    RETURN QUERY
    WITH busy AS (
        SELECT j.company_id, count(*) AS jobs
        FROM jobs j
        WHERE j.finished_at IS NULL AND j.queue = 'bulk'
          AND (j.deliver_at IS NULL OR j.relayed_until > clock_timestamp())
        GROUP BY j.company_id
    ), due AS (
        SELECT j.id, j.deliver_at, j.queue, coalesce(b.jobs, 0)
               + row_number() OVER (PARTITION BY j.company_id, j.queue ORDER BY j.deliver_at, j.id) AS place
        FROM jobs j
        LEFT JOIN busy b ON b.company_id = j.company_id
        WHERE j.deliver_at <= (SELECT clock_timestamp()) AND coalesce(j.relayed_until < clock_timestamp(), true)
    ), chosen AS (
        SELECT d.id FROM due d WHERE d.queue <> 'bulk' OR d.place <= $3 ORDER BY d.deliver_at, d.id LIMIT $1
    )
    UPDATE jobs j
    SET relayed_until = clock_timestamp() + $2::interval
    FROM chosen c
    WHERE j.id = c.id AND j.deliver_at IS NOT NULL
    RETURNING j.id, j.attempt, j.queue;
END
$$;
