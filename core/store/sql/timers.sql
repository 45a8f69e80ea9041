-- name: take_triggers
-- The timer triggers in the content of a flow's deployed version; of two with one key the first counts. Numbers and
-- texts only: content may hold anything in their place. Flows of other classes run on devices or on requests. The flow's
-- timers go, before those of what is deployed now are written; what they did stays in the ledger.
WITH gone AS (
    DELETE FROM timers WHERE flow_id = $2 AND company_id = $1
)
SELECT DISTINCT ON (key) v.id AS flow_version_id, coalesce(t.value ->> 'key', '#' || t.place) AS key,
       CASE WHEN json_typeof(t.value #> '{config,seconds}') = 'number'
            THEN (t.value #>> '{config,seconds}')::numeric::float8 END AS seconds,
       CASE WHEN json_typeof(t.value #> '{config,cron}') = 'string' THEN t.value #>> '{config,cron}' END AS cron,
       CASE WHEN json_typeof(t.value #> '{config,tz}') = 'string' THEN t.value #>> '{config,tz}' END AS zone
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id AND f.flow_class = 'cloud'
CROSS JOIN LATERAL json_array_elements(CASE WHEN json_typeof(v.body -> 'triggers') = 'array' THEN v.body -> 'triggers'
                                            ELSE '[]' END) WITH ORDINALITY AS t (value, place)
WHERE v.flow_id = $2 AND v.company_id = $1 AND v.status = 'Deployed'
  AND json_typeof(t.value) = 'object' AND t.value ->> 'type' = 'timer'
ORDER BY key, t.place
LIMIT $3;

-- name: insert_timers
-- With ids of schedules: one ledger accounts for both.
INSERT INTO timers (id, company_id, flow_id, flow_version_id, trigger_key, cron_string, timezone, every_seconds)
SELECT nextval(pg_get_serial_sequence('schedules', 'id')), $1, $2, $3, g.key, g.cron_string, g.timezone, g.every_seconds
FROM unnest($4::text[], $5::text[], $6::text[], $7::integer[]) AS g (key, cron_string, timezone, every_seconds);
