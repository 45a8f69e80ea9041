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
