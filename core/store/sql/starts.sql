-- name: find_startable
-- The version of a flow that a start would run: the deployed one where none is named. What it is like is kept beside
-- the run, whatever becomes of it afterwards.
SELECT v.id, v.name, v.iteration, v.revision, v.digest
FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2
  AND CASE WHEN $3::bigint IS NULL THEN v.status = 'Deployed' ELSE v.id = $3 END;

-- name: find_button
-- The version of a flow that a button would start: by its id or, where it has none such, by its name, else the one that
-- stands as $5; and whether its content has the button $6. One without a key goes by its place, as timers do. Content may
-- hold anything where triggers should be.
SELECT v.id, v.name, v.iteration, v.revision, v.digest, EXISTS (
    SELECT FROM json_array_elements(CASE WHEN json_typeof(v.body -> 'triggers') = 'array' THEN v.body -> 'triggers'
                                         ELSE '[]' END) WITH ORDINALITY AS t (value, place)
    WHERE CASE WHEN json_typeof(t.value) = 'object'
               THEN t.value ->> 'type' = 'virtualButton' AND coalesce(t.value ->> 'key', '#' || t.place) = $6 END
) AS has_button
FROM flow_versions v
WHERE v.company_id = $1 AND v.flow_id = $2
  AND v.id = coalesce(
      (SELECT i.id FROM flow_versions i
       WHERE i.id = $3 AND i.flow_id = $2 AND i.company_id = $1 AND i.status <> 'Draft'),
      (SELECT n.id FROM flow_versions n WHERE n.flow_id = $2 AND n.name = $4 AND n.company_id = $1),
      (SELECT s.id FROM flow_versions s WHERE s.flow_id = $2 AND s.company_id = $1 AND s.status = $5)
  );

-- name: insert_run
-- A run that nobody's schedule asked for, due when it was accepted, and the job that sends it.
WITH started AS (
    INSERT INTO runs (company_id, flow_id, flow_version_id, scheduled_for, trigger, trigger_key, status, version_name,
                      version_iteration, version_revision, digest, job_id, payload, payload_type, message_key, retry_of,
                      requested_by_type, requested_by_id)
    VALUES ($1, $2, $3, clock_timestamp(), $4, $16, 'queued', $5, $6, $7, $8,
            nextval(pg_get_serial_sequence('jobs', 'id')), $9, $10, $11, $12, $13, $14)
    RETURNING id, company_id, scheduled_for, job_id
), staged AS (
    INSERT INTO jobs (id, public_id, company_id, flow_id, kind, queue, arguments, requested_by_type, requested_by_id,
                      deliver_at)
    OVERRIDING SYSTEM VALUE
    SELECT job_id, $15, company_id, $2, 'dispatch_runs', 'dispatch',
           jsonb_build_object('run_ids', jsonb_build_array(id), 'first_at', scheduled_for, 'last_at', scheduled_for),
           $13, $14, clock_timestamp()
    FROM started
)
SELECT id FROM started;

-- name: read_run
-- One run of a company, of any application or of one: a flow that was deleted still has its runs.
SELECT r.* FROM runs r
WHERE r.company_id = $1 AND r.id = $2
  AND ($3::bigint IS NULL
       OR EXISTS (SELECT FROM flows f WHERE f.id = r.flow_id AND f.company_id = $1 AND f.application_id = $3)
       OR EXISTS (SELECT FROM deleted_flows d WHERE d.id = r.flow_id AND d.company_id = $1 AND d.application_id = $3));

-- name: note_stop
-- That somebody asked for the end of a run.
UPDATE runs SET stop_requested_at = clock_timestamp() WHERE company_id = $1 AND id = $2 AND scheduled_for = $3;

-- name: find_stopped
-- Where the runner of a stopped run is, and what it knows the run by.
SELECT r.id, r.flow_id, r.flow_version_id, r.schedule_id, r.scheduled_for, r.message_key, r.stop_requested_at,
       coalesce(f.runner_url, d.runner_url, c.runner_url) AS runner_url
FROM runs r
JOIN companies c ON c.id = r.company_id
LEFT JOIN flows f ON f.id = r.flow_id AND f.company_id = r.company_id
LEFT JOIN deleted_flows d ON d.id = r.flow_id AND d.company_id = r.company_id
WHERE r.company_id = $1 AND r.id = $2 AND r.scheduled_for = $3;

-- name: read_started
-- The run that a repeated start has made before.
SELECT run_id FROM idempotency_keys WHERE company_id = $1 AND owner = $2 AND key = $3;

-- name: bind_run
-- Ties a key to the run it led to, in the same transaction.
UPDATE idempotency_keys SET run_id = $4 WHERE company_id = $1 AND owner = $2 AND key = $3;
