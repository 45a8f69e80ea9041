-- What the Patchworks dialect says of flows, and deploys that are to happen later.

ALTER TABLE flows
    ADD COLUMN runner_url text,                                 -- null: the company's runner
    ADD COLUMN flow_priority integer NOT NULL DEFAULT 3,        -- 1 goes first
    ADD COLUMN run_timeout_seconds integer NOT NULL DEFAULT 3600,
    ADD CONSTRAINT flows_priority_range CHECK (flow_priority BETWEEN 1 AND 5),
    ADD CONSTRAINT flows_run_timeout_range CHECK (run_timeout_seconds BETWEEN 1 AND 604800),
    ADD CONSTRAINT flows_runner_url_length CHECK (char_length(runner_url) BETWEEN 1 AND 1024);

ALTER TABLE deleted_flows
    ADD COLUMN runner_url text,
    ADD COLUMN flow_priority integer NOT NULL DEFAULT 3,
    ADD COLUMN run_timeout_seconds integer NOT NULL DEFAULT 3600;

-- What is deployed waits for nothing.
ALTER TABLE flow_versions
    ADD CONSTRAINT flow_versions_pending_undeployed CHECK (deploy_at IS NULL OR status <> 'Deployed');

-- The next deploys that are due, looked for every second.
CREATE INDEX flow_versions_due_index ON flow_versions (deploy_at) WHERE deploy_at IS NOT NULL;

-- The Patchworks dialect lists the flows of all applications of a company, in order of their ids.
CREATE INDEX flows_of_company_index ON flows (company_id, id) WHERE removing_since IS NULL;

-- Who asks under /api/v1, for the statements that answer: what a token or a raw key opens, or a caller that was looked up
-- before (`company`, and the application it is bound to, if any). No row: what was shown opens nothing.
CREATE FUNCTION open_caller(shown bytea, is_key boolean, company bigint, application bigint)
RETURNS TABLE (
    caller_id bigint, company_id bigint, application_id bigint, scopes text[], rate_limit integer, unnoted boolean
)
LANGUAGE sql STABLE ROWS 1
AS $$
    SELECT t.id, t.company_id, t.application_id, t.scopes, c.rate_limit, false
    FROM open_token(shown) t
    JOIN companies c ON c.id = t.company_id
    WHERE NOT is_key
    UNION ALL
    SELECT k.id, k.company_id, NULL, NULL, c.rate_limit,
           k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '1 minute'
    FROM api_keys k
    JOIN companies c ON c.id = k.company_id
    WHERE is_key AND k.digest = shown AND k.revoked_at IS NULL
    UNION ALL
    SELECT NULL, company, application, NULL, NULL, false
    WHERE company IS NOT NULL
$$;

-- What is deployed becomes inactive, and what is pending is taken back, but for that of the version `but`; each with its
-- audit event. How many there were. The flow is locked.
CREATE FUNCTION release_deployed(
    company bigint, flow bigint, but bigint, by_type text, by_id bigint, from_remote text
)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    released bigint;
BEGIN
    WITH old AS (
        SELECT v.id, v.status FROM flow_versions v
        WHERE v.flow_id = flow AND v.company_id = company AND v.status = 'Deployed'
        UNION ALL
        SELECT v.id, v.status FROM flow_versions v
        WHERE v.flow_id = flow AND v.company_id = company AND v.deploy_at IS NOT NULL AND v.id <> but
    ), changed AS (
        UPDATE flow_versions v
        SET status = CASE old.status WHEN 'Deployed' THEN 'Inactive' ELSE old.status END, deployed_at = NULL,
            deploy_at = NULL, revision = v.revision + 1, updated_at = clock_timestamp(), updated_by_type = by_type,
            updated_by_id = by_id
        FROM old
        WHERE v.id = old.id AND v.company_id = company
        RETURNING v.id, v.digest, old.status AS was
    ), accounted AS (
        INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id,
                                  before_digest)
        SELECT company, by_type, by_id, from_remote,
               CASE was WHEN 'Deployed' THEN 'version.undeploy' ELSE 'version.deploy_cancel' END, 'version',
               id, CASE was WHEN 'Deployed' THEN digest END
        FROM changed
    )
    SELECT count(*) INTO released FROM changed;
    RETURN released;
END
$$;

-- A version becomes the deployed one, with its audit event. The flow is locked and has none; a Draft gets the name `given`,
-- anything else keeps its own.
CREATE FUNCTION promote_version(
    company bigint, version bigint, by_type text, by_id bigint, from_remote text, given text, given_folded text,
    told jsonb
)
RETURNS SETOF flow_versions
LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
BEGIN
    RETURN QUERY
    WITH promoted AS (
        UPDATE flow_versions v
        SET status = 'Deployed', deployed_at = clock.now, last_deployed_at = clock.now, deploy_at = NULL,
            name = coalesce(v.name, given), name_folded = coalesce(v.name_folded, given_folded),
            revision = v.revision + 1, updated_at = clock.now, updated_by_type = by_type, updated_by_id = by_id
        FROM (SELECT clock_timestamp() AS now OFFSET 0) AS clock
        WHERE v.id = version AND v.company_id = company
        RETURNING v.*
    ), accounted AS (
        INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id,
                                  after_digest, details)
        SELECT company, by_type, by_id, from_remote, 'version.deploy', 'version', p.id, p.digest, told FROM promoted p
    )
    SELECT * FROM promoted;
END
$$;

-- Deploys a kept version where there is nothing to decide: it is neither a Draft nor deployed, its instant has come, and
-- no instant of any schedule changes its meaning. No row, and nothing is done, where that is not so. Each statement looks
-- anew, so whoever waited for the flow sees what the others did.
CREATE FUNCTION deploy_at_once(
    company bigint, application bigint, flow bigint, version bigint, planned_for timestamptz, by_type text, by_id bigint,
    from_remote text
)
RETURNS SETOF flow_versions
LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
BEGIN
    PERFORM FROM flows f
    WHERE f.id = flow AND f.company_id = company AND (application IS NULL OR f.application_id = application)
      AND f.removing_since IS NULL AND f.flow_class <> 'customNode'
    FOR NO KEY UPDATE;
    IF NOT FOUND OR planned_for > clock_timestamp() OR EXISTS (SELECT FROM schedules s WHERE s.flow_id = flow) THEN
        RETURN;
    END IF;
    PERFORM FROM flow_versions v
    WHERE v.id = version AND v.flow_id = flow AND v.company_id = company AND v.status = 'Inactive'
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM release_deployed(company, flow, version, by_type, by_id, from_remote);
    UPDATE flows f
    SET revision = f.revision + 1, updated_at = clock_timestamp(), updated_by_type = by_type, updated_by_id = by_id
    WHERE f.id = flow AND f.company_id = company;
    RETURN QUERY SELECT * FROM promote_version(company, version, by_type, by_id, from_remote, NULL, NULL, '{}');
END
$$;
