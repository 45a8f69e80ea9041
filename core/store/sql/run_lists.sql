-- name: list_runs
-- A page of a company's runs, or of one application's where $2 names one, narrowed and ordered by what is put in. What
-- runs were started with and what came of them stays where it is: a page of payloads could be a hundred megabytes.
SELECT r.id, r.company_id, r.flow_id, r.flow_version_id, r.schedule_id, r.scheduled_for, r.trigger, r.trigger_key,
       r.status, r.reason, r.message, r.buffered, r.dst_merged, r.version_name, r.version_iteration, r.version_revision,
       r.digest, r.created_at, r.attempts, r.dispatched_at, r.started_at, r.finished_at, r.message_key, r.retry_of
FROM runs r
WHERE r.company_id = $1
  AND ($2::bigint IS NULL
       OR EXISTS (SELECT FROM flows f WHERE f.id = r.flow_id AND f.company_id = $1 AND f.application_id = $2)
       OR EXISTS (SELECT FROM deleted_flows d WHERE d.id = r.flow_id AND d.company_id = $1 AND d.application_id = $2))
  AND /* query */ TRUE
ORDER BY /* order */ 1
LIMIT $3 OFFSET $4;

-- name: count_runs
-- How many runs list_runs has to page through, counted up to $3: nobody leafs through more.
SELECT count(*) FROM (
    SELECT FROM runs r
    WHERE r.company_id = $1
      AND ($2::bigint IS NULL
           OR EXISTS (SELECT FROM flows f WHERE f.id = r.flow_id AND f.company_id = $1 AND f.application_id = $2)
           OR EXISTS (SELECT FROM deleted_flows d WHERE d.id = r.flow_id AND d.company_id = $1
                                                    AND d.application_id = $2))
      AND /* query */ TRUE
    LIMIT $3
) AS counted;

-- name: list_recent
-- The newest runs of all companies, for the command line.
SELECT id, company_id, flow_id, schedule_id, scheduled_for, trigger, status, reason, attempts
FROM runs ORDER BY id DESC LIMIT $1;
