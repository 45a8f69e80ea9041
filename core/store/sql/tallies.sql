-- name: find_version
-- A version of a flow by its id or, where it has none such, by its name; the Draft has neither here.
SELECT v.id, v.name FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2
  AND v.id = coalesce(
      (SELECT i.id FROM flow_versions i
       WHERE i.id = $3 AND i.flow_id = $2 AND i.company_id = $1 AND i.status <> 'Draft'),
      (SELECT n.id FROM flow_versions n WHERE n.flow_id = $2 AND n.name = $4 AND n.company_id = $1)
  );

-- name: sum_runs
-- What ended of a flow in each interval, or of one of its versions ($3, $4), or of its develop content ($5). Nothing ends
-- before it is due: weeks that begin later are not looked into.
SELECT date_bin($8::interval, r.finished_at, $6) AS at, count(*) AS runs,
       count(*) FILTER (WHERE r.status IN ('success', 'partial_success')) AS completed,
       count(*) FILTER (WHERE r.status IN ('failure', 'partial_success')) AS failed,
       coalesce(sum(r.finished_at - r.started_at), '0') AS took
FROM runs r
WHERE r.company_id = $1 AND r.flow_id = $2 AND r.finished_at >= $6 AND r.finished_at < $7 AND r.scheduled_for < $7
  AND r.status IN ('success', 'partial_success', 'failure', 'stopped') AND (r.status <> 'stopped' OR r.attempts > 0)
  AND CASE WHEN $5::boolean THEN r.version_name IS NULL
           WHEN $3::bigint IS NOT NULL THEN r.flow_version_id = $3 AND r.version_name IS NOT NULL
           ELSE $4::text IS NULL OR r.version_name = $4 END
GROUP BY 1;

-- name: list_failed
-- The first of the same that failed, in whole or in part, in the order of their ends or against it.
SELECT r.id, r.finished_at, r.started_at, r.flow_version_id, r.version_name, r.status, r.reason, r.message
FROM runs r
WHERE r.company_id = $1 AND r.flow_id = $2 AND r.finished_at >= $6 AND r.finished_at < $7 AND r.scheduled_for < $7
  AND r.status IN ('failure', 'partial_success')
  AND CASE WHEN $5::boolean THEN r.version_name IS NULL
           WHEN $3::bigint IS NOT NULL THEN r.flow_version_id = $3 AND r.version_name IS NOT NULL
           ELSE $4::text IS NULL OR r.version_name = $4 END
ORDER BY r.finished_at /* direction */, r.id /* direction */
LIMIT $8;

-- name: list_ended
-- Those that ended last, from $6 on, however they did.
SELECT r.id, r.finished_at, r.started_at, r.flow_version_id, r.version_name, r.status, r.reason, r.message
FROM runs r
WHERE r.company_id = $1 AND r.flow_id = $2 AND r.finished_at >= $6
  AND r.status IN ('success', 'partial_success', 'failure', 'stopped') AND (r.status <> 'stopped' OR r.attempts > 0)
  AND CASE WHEN $5::boolean THEN r.version_name IS NULL
           WHEN $3::bigint IS NOT NULL THEN r.flow_version_id = $3 AND r.version_name IS NOT NULL
           ELSE $4::text IS NULL OR r.version_name = $4 END
ORDER BY r.finished_at DESC, r.id DESC
LIMIT $7;

-- name: list_error_lines
-- What the logs of these runs say went wrong, the first lines of each. Logs are written in the transaction that ends
-- their run, right after its end, which names the days to look into. A node is told of where the line's details do.
SELECT w.run_id, l.name, l.message, l.node_id, l.node_label
FROM unnest($2::bigint[], $3::timestamptz[]) WITH ORDINALITY AS w (run_id, finished_at, place)
CROSS JOIN LATERAL (
    SELECT g.id, left(g.message, $5) AS message,
           coalesce(CASE WHEN json_typeof(g.details -> 'name') = 'string' THEN left(g.details ->> 'name', 255) END,
                    g.level) AS name,
           CASE WHEN json_typeof(g.details -> 'nodeId') = 'string' THEN left(g.details ->> 'nodeId', 255) END AS node_id,
           CASE WHEN json_typeof(g.details -> 'nodeLabel') = 'string'
                THEN left(g.details ->> 'nodeLabel', 255) END AS node_label
    FROM run_logs g
    WHERE g.company_id = $1 AND g.run_id = w.run_id AND g.level IN ('error', 'fatal')
      AND g.received_at >= w.finished_at AND g.received_at < w.finished_at + interval '1 hour'
    ORDER BY g.id LIMIT $4
) l
ORDER BY w.place, l.id;
