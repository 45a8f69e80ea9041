-- name: take_endings
-- The oldest endings that nobody else is folding, of all companies, gone for whoever commits: what a fold that dies had
-- taken is there again. SKIP LOCKED, and by what is there instead of by the highest number seen: numbers commit out of
-- order. Of those whose runners told much only so many that it is $2 bytes and no more than one ending's beyond.
DELETE FROM run_endings WHERE id IN (
    SELECT weighed.id FROM (
        SELECT id, length, sum(length) OVER (ORDER BY id) AS told FROM (
            SELECT id, coalesce(octet_length(metrics), 0) AS length
            FROM run_endings ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
        ) AS oldest
    ) AS weighed
    WHERE weighed.told - weighed.length <= $2
)
RETURNING id, company_id, flow_id, flow_version_id, status, ended_at, number, attempts, duration_us, lateness_us,
          payload_bytes, metrics;

-- name: drop_endings
-- Those of a flow in [$3, $4), which are in the ledger that the numbers of those days are made from again.
DELETE FROM run_endings WHERE company_id = $1 AND flow_id = $2 AND ended_at >= $3 AND ended_at < $4;

-- name: read_ended
-- What the ledger has of a flow's runs that ended in [$3, $4), in pages behind the run $5 of instant $6; as end_runs
-- told it when they did, and in an order that does not change. When a run was due says little of when it ended, so all
-- of the flow's runs that were due by then are looked at.
SELECT r.id, r.scheduled_for, r.company_id, r.flow_id, r.flow_version_id, r.status, r.finished_at AS ended_at,
       1::bigint AS number,
       CASE WHEN r.status NOT IN ('skipped', 'missed') THEN r.attempts ELSE 0 END AS attempts,
       (CASE WHEN r.status NOT IN ('skipped', 'missed')
        THEN extract(epoch FROM r.finished_at - r.started_at) * 1000000 END)::bigint AS duration_us,
       (CASE WHEN r.status NOT IN ('skipped', 'missed')
        THEN extract(epoch FROM coalesce(r.started_at, r.finished_at) - r.scheduled_for) * 1000000 END)::bigint
           AS lateness_us,
       (CASE WHEN r.status NOT IN ('skipped', 'missed') THEN octet_length(r.payload) END)::bigint AS payload_bytes,
       nullif(r.result ->> 'metrics', '{}') AS metrics
FROM runs r
WHERE r.company_id = $1 AND r.flow_id = $2 AND r.finished_at >= $3 AND r.finished_at < $4 AND r.scheduled_for < $4
  AND (r.scheduled_for, r.id) > ($5, $6)
ORDER BY r.scheduled_for, r.id
LIMIT $7;

-- name: read_gaps
-- What the ledger has of a flow's instants without runs that were accounted for in [$3, $4).
SELECT company_id, flow_id, flow_version_id, CASE reason WHEN 'missed' THEN 'missed' ELSE 'skipped' END AS status,
       created_at AS ended_at, instants AS number, 0 AS attempts, NULL::bigint AS duration_us,
       NULL::bigint AS lateness_us, NULL::bigint AS payload_bytes, NULL::text AS metrics
FROM run_gaps
WHERE company_id = $1 AND flow_id = $2 AND created_at >= $3 AND created_at < $4;

-- name: find_horizon
-- Since when the ledger has every run: what was due before is gone. Null: nothing ever went.
SELECT before FROM ledger_horizons WHERE parent = 'runs';
