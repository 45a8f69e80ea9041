-- name: read_versions
-- Versions of a flow with their schedules, all of one moment, to be compared. Nobody is locked.
SELECT v.id, v.iteration, v.name, v.status, v.enabled, v.revision, v.digest, v.body,
       (SELECT json_agg(json_build_object(
            'cron_string', s.cron_string, 'timezone', s.timezone, 'overlap_policy', s.overlap_policy,
            'catchup_window_seconds', s.catchup_window_seconds, 'paused', s.paused, 'pause_reason', s.pause_reason,
            'live', s.deployed_at IS NOT NULL) ORDER BY s.id)
        FROM schedules s
        WHERE s.company_id = v.company_id AND s.flow_id = v.flow_id AND s.flow_version_id = v.id) AS schedules
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id AND f.removing_since IS NULL
WHERE v.company_id = $1 AND v.flow_id = $2 AND v.id = ANY($3::bigint[])
  AND ($4::bigint IS NULL OR f.application_id = $4);

-- name: find_place
-- Whose a version is and of which flow, for the command line, which asks by the id alone.
SELECT company_id, flow_id FROM flow_versions WHERE id = $1;
