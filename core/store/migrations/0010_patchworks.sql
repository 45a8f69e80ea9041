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
LANGUAGE sql STABLE
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
