-- The first tables: tenants and their keys, flows and their versions, the trash, jobs, and the audit trail.
-- Every constraint has a name we chose: core/store/constraints.py turns it into the error a caller sees.

-- The tenant. Every other row carries its company, and every query has it in its predicate.
CREATE TABLE companies (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    parent_id   bigint,                          -- null: not linked to a parent company
    name        text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT companies_pkey PRIMARY KEY (id),
    CONSTRAINT companies_parent_fkey FOREIGN KEY (parent_id) REFERENCES companies,
    CONSTRAINT companies_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX companies_parent_index ON companies (parent_id);

-- What signs the callbacks of a company. Kept readable because signing needs the secret itself.
CREATE TABLE webhook_secrets (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    company_id  bigint      NOT NULL,
    secret      text        NOT NULL,            -- whsec_ and base64, as Standard Webhooks writes it
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT webhook_secrets_pkey PRIMARY KEY (id),
    CONSTRAINT webhook_secrets_company_fkey FOREIGN KEY (company_id) REFERENCES companies
);
CREATE INDEX webhook_secrets_company_index ON webhook_secrets (company_id);

-- Losant's container of flows. Every company has one default application.
CREATE TABLE applications (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    company_id  bigint      NOT NULL,
    name        text        NOT NULL,
    is_default  boolean     NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT applications_pkey PRIMARY KEY (id),
    CONSTRAINT applications_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT applications_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX applications_company_index ON applications (company_id);
CREATE UNIQUE INDEX applications_one_default ON applications (company_id) WHERE is_default;

-- Bearer tokens of one application. Only the SHA-256 of a token is kept; the prefix lets people tell them apart.
CREATE TABLE application_tokens (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    application_id  bigint      NOT NULL,
    name            text        NOT NULL,
    prefix          text        NOT NULL,
    digest          bytea       NOT NULL,
    scopes          text[]      NOT NULL,
    active          boolean     NOT NULL DEFAULT true,
    expires_at      timestamptz,                 -- null: never
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at      timestamptz,                 -- null: not revoked
    CONSTRAINT application_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT application_tokens_digest_key UNIQUE (digest),
    CONSTRAINT application_tokens_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT application_tokens_application_fkey FOREIGN KEY (application_id) REFERENCES applications,
    CONSTRAINT application_tokens_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX application_tokens_company_index ON application_tokens (company_id);
CREATE INDEX application_tokens_application_index ON application_tokens (application_id);

-- Keys of a company, sent raw in the Authorization header; they act as a manager.
CREATE TABLE api_keys (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    company_id  bigint      NOT NULL,
    name        text        NOT NULL,
    prefix      text        NOT NULL,
    digest      bytea       NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at  timestamptz,                     -- null: not revoked
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_digest_key UNIQUE (digest),
    CONSTRAINT api_keys_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX api_keys_company_index ON api_keys (company_id);

CREATE TABLE flows (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    application_id  bigint      NOT NULL,
    name            text        NOT NULL,
    description     text,                        -- null: none given
    flow_class      text        NOT NULL DEFAULT 'cloud',
    enabled         boolean     NOT NULL DEFAULT true,
    next_iteration  integer     NOT NULL DEFAULT 1,   -- the ordinal of the next version; never goes back
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by_type text        NOT NULL,
    created_by_id   bigint,                      -- null: made by the command line
    updated_by_type text        NOT NULL,
    updated_by_id   bigint,                      -- null: changed by the command line
    -- Set when the flow was deleted: from then on no query finds it, while its job empties it. The job's last
    -- transaction moves the row to deleted_flows, so a live flow never has it.
    removing_since  timestamptz,
    CONSTRAINT flows_pkey PRIMARY KEY (id),
    CONSTRAINT flows_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT flows_application_fkey FOREIGN KEY (application_id) REFERENCES applications,
    CONSTRAINT flows_class_known CHECK (flow_class IN ('cloud', 'edge', 'embedded', 'experience', 'customNode')),
    CONSTRAINT flows_name_length CHECK (char_length(name) BETWEEN 1 AND 255)
);
CREATE INDEX flows_company_index ON flows (company_id);
CREATE INDEX flows_application_index ON flows (application_id, id);

-- A flow whose deletion has run to its end.
CREATE TABLE deleted_flows (
    id              bigint      NOT NULL,
    company_id      bigint      NOT NULL,
    application_id  bigint      NOT NULL,
    job_id          bigint      NOT NULL,
    name            text        NOT NULL,
    description     text,
    flow_class      text        NOT NULL,
    enabled         boolean     NOT NULL,
    next_iteration  integer     NOT NULL,
    created_at      timestamptz NOT NULL,
    created_by_type text        NOT NULL,
    created_by_id   bigint,
    deleted_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    purge_after     timestamptz NOT NULL,
    CONSTRAINT deleted_flows_pkey PRIMARY KEY (id)
);
CREATE INDEX deleted_flows_company_index ON deleted_flows (company_id);
CREATE INDEX deleted_flows_job_index ON deleted_flows (job_id);
CREATE INDEX deleted_flows_purge_index ON deleted_flows (purge_after);

-- No foreign key points here, on purpose: a per-row check is most of what deleting costs. What hangs on a version is
-- removed by the statement that removes the version.
CREATE TABLE flow_versions (
    id                bigint GENERATED BY DEFAULT AS IDENTITY,
    company_id        bigint      NOT NULL,
    flow_id           bigint      NOT NULL,
    iteration         integer     NOT NULL,      -- the stable ordinal: never renumbered, never used again
    name              text COLLATE "C",          -- null: the Draft, which has no name until it is deployed
    name_folded       text COLLATE "C",          -- case-folded by us: PostgreSQL's lower() depends on its locale
    status            text        NOT NULL,
    enabled           boolean     NOT NULL DEFAULT true,
    notes             text,                      -- null: none given
    body              json        NOT NULL,      -- text as received, so that what was sent is what is read
    digest            bytea       NOT NULL,      -- SHA-256 of the body's sorted compact JSON
    revision          integer     NOT NULL DEFAULT 1,  -- rises with every change of content or standing
    deploy_at         timestamptz,               -- a deploy that is still to come; null: none pending
    deployed_at       timestamptz,               -- null: not deployed now
    last_deployed_at  timestamptz,               -- null: never was deployed
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by_type   text        NOT NULL,
    created_by_id     bigint,                    -- null: made by the command line
    updated_by_type   text        NOT NULL,
    updated_by_id     bigint,                    -- null: changed by the command line
    CONSTRAINT flow_versions_pkey PRIMARY KEY (id),
    CONSTRAINT flow_versions_flow_fkey FOREIGN KEY (flow_id) REFERENCES flows,
    CONSTRAINT flow_versions_name_key UNIQUE (flow_id, name),
    CONSTRAINT flow_versions_iteration_key UNIQUE (flow_id, iteration),
    CONSTRAINT flow_versions_status_known CHECK (status IN ('Draft', 'Inactive', 'Deployed')),
    CONSTRAINT flow_versions_draft_unnamed CHECK ((status = 'Draft') = (name IS NULL)),
    CONSTRAINT flow_versions_folded_with_name CHECK ((name IS NULL) = (name_folded IS NULL)),
    CONSTRAINT flow_versions_deployed_since CHECK ((status = 'Deployed') = (deployed_at IS NOT NULL)),
    CONSTRAINT flow_versions_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    CONSTRAINT flow_versions_name_free CHECK (name NOT IN ('develop', 'default'))
);
CREATE UNIQUE INDEX flow_versions_one_draft ON flow_versions (flow_id) WHERE status = 'Draft';
CREATE UNIQUE INDEX flow_versions_one_deployed ON flow_versions (flow_id) WHERE status = 'Deployed';
CREATE UNIQUE INDEX flow_versions_one_pending ON flow_versions (flow_id) WHERE deploy_at IS NOT NULL;
-- Accepting a bulk delete reads one flow's versions in id order.
CREATE INDEX flow_versions_flow_index ON flow_versions (flow_id, id);

-- The trash: versions that were deleted, and contents that were replaced, until purge_after.
CREATE TABLE deleted_versions (
    id                bigint GENERATED ALWAYS AS IDENTITY,  -- the entry; one version may leave several
    version_id        bigint      NOT NULL,
    company_id        bigint      NOT NULL,
    flow_id           bigint      NOT NULL,
    job_id            bigint,                    -- null: removed by itself, not by a bulk delete
    reason            text        NOT NULL,
    iteration         integer     NOT NULL,
    name              text COLLATE "C",
    status            text        NOT NULL,
    enabled           boolean     NOT NULL,
    notes             text,
    body              json        NOT NULL,
    digest            bytea       NOT NULL,
    revision          integer     NOT NULL,
    last_deployed_at  timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    created_by_type   text        NOT NULL,
    created_by_id     bigint,
    updated_by_type   text        NOT NULL,
    updated_by_id     bigint,
    deleted_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    purge_after       timestamptz NOT NULL,      -- stamped at deletion; later settings never shorten it
    CONSTRAINT deleted_versions_pkey PRIMARY KEY (id),
    CONSTRAINT deleted_versions_reason_known CHECK (reason IN ('deleted', 'bulk_deleted', 'flow_deleted', 'replaced'))
);
CREATE INDEX deleted_versions_flow_index ON deleted_versions (flow_id, id);
CREATE INDEX deleted_versions_job_index ON deleted_versions (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX deleted_versions_purge_index ON deleted_versions (purge_after);

-- Everything asynchronous, and its own outbox: a queued row with deliver_at set is staged for the relay.
CREATE TABLE jobs (
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    public_id          text        NOT NULL,     -- 21 characters: what callers know the job by
    company_id         bigint      NOT NULL,
    application_id     bigint,                   -- null: not about one application
    flow_id            bigint,                   -- null: not about one flow; no foreign key, jobs outlive flows
    parent_id          bigint,                   -- null: nobody's consequence; else the job this one tells about
    kind               text        NOT NULL,
    queue              text        NOT NULL,
    status             text        NOT NULL DEFAULT 'queued',
    arguments          jsonb       NOT NULL,
    revision           integer     NOT NULL DEFAULT 1,  -- rises with every change a reader can see

    -- Fencing: every transaction of a job names the attempt it was claimed for.
    attempt            integer     NOT NULL DEFAULT 0,
    failures           integer     NOT NULL DEFAULT 0,  -- tries since the last progress; a bound, not a statistic
    leased_until       timestamptz,              -- null: nobody works on it
    -- Delivery: set when the job is to be handed to Redis, cleared when Redis has it.
    deliver_at         timestamptz,
    relayed_until      timestamptz,              -- a relay is busy with it until then; null: none is
    delivered_at       timestamptz,              -- null: this attempt was not yet handed to Redis

    -- Progress of a job over items. In every terminal state total = removed + failed.
    total              integer,                  -- null: not a job over items
    position           integer     NOT NULL DEFAULT 0,  -- items looked at so far: where the next batch begins
    removed            integer     NOT NULL DEFAULT 0,
    failed             integer     NOT NULL DEFAULT 0,
    reasons            jsonb       NOT NULL DEFAULT '{}',  -- reason -> how many failed for it

    error_code         text,                     -- null: nothing went wrong
    error_message      text,
    cancel_requested   boolean     NOT NULL DEFAULT false,
    requested_by_type  text        NOT NULL,
    requested_by_id    bigint,                   -- null: asked for by the command line
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at         timestamptz,              -- null: no worker ever had it
    finished_at        timestamptz,              -- null: not ended
    undo_until         timestamptz,              -- null: nothing to undo
    CONSTRAINT jobs_pkey PRIMARY KEY (id),
    CONSTRAINT jobs_public_id_key UNIQUE (public_id),
    CONSTRAINT jobs_public_id_form CHECK (public_id ~ '^[A-Za-z0-9_-]{21}$'),
    CONSTRAINT jobs_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT jobs_parent_fkey FOREIGN KEY (parent_id) REFERENCES jobs ON DELETE CASCADE,
    CONSTRAINT jobs_status_known
        CHECK (status IN ('queued', 'in_progress', 'completed', 'failed', 'errored', 'cancelled')),
    CONSTRAINT jobs_leased_in_progress CHECK ((status = 'in_progress') = (leased_until IS NOT NULL)),
    CONSTRAINT jobs_delivered_queued CHECK (deliver_at IS NULL OR status = 'queued'),
    CONSTRAINT jobs_finished_terminal
        CHECK ((status IN ('queued', 'in_progress')) = (finished_at IS NULL)),
    CONSTRAINT jobs_accounted
        CHECK (total IS NULL OR finished_at IS NULL OR total = removed + failed)
);
CREATE INDEX jobs_company_index ON jobs (company_id, id);
CREATE INDEX jobs_parent_index ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_staged_index ON jobs (deliver_at) WHERE deliver_at IS NOT NULL;
CREATE INDEX jobs_unfinished_index ON jobs (company_id, kind) WHERE finished_at IS NULL;
CREATE INDEX jobs_finished_index ON jobs (finished_at) WHERE finished_at IS NOT NULL;

-- The set a job was accepted for: (id, revision) pairs in id order, 5,000 to a chunk.
CREATE TABLE job_chunks (
    job_id       bigint    NOT NULL,
    ordinal      integer   NOT NULL,
    version_ids  bigint[]  NOT NULL,
    revisions    integer[] NOT NULL,
    CONSTRAINT job_chunks_pkey PRIMARY KEY (job_id, ordinal),
    CONSTRAINT job_chunks_job_fkey FOREIGN KEY (job_id) REFERENCES jobs ON DELETE CASCADE
);

-- What a job could not remove, one row an item. Removed ones stand in deleted_versions.
CREATE TABLE job_failures (
    job_id      bigint NOT NULL,
    version_id  bigint NOT NULL,
    name        text,                            -- null: nothing was left to read it from
    reason      text   NOT NULL,
    CONSTRAINT job_failures_pkey PRIMARY KEY (job_id, version_id),
    CONSTRAINT job_failures_job_fkey FOREIGN KEY (job_id) REFERENCES jobs ON DELETE CASCADE
);

-- Remembers jobs whose record has expired, so that their address can answer 410 instead of 404.
CREATE TABLE job_tombstones (
    public_id   text        NOT NULL,
    job_id      bigint      NOT NULL,
    company_id  bigint      NOT NULL,
    application_id bigint,                       -- null: was not about one application
    kind        text        NOT NULL,
    expired_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT job_tombstones_pkey PRIMARY KEY (public_id),
    CONSTRAINT job_tombstones_job_key UNIQUE (job_id)
);
CREATE INDEX job_tombstones_expired_index ON job_tombstones (expired_at);

-- Keys callers sent with a request, so that a repeat gets the first one's job.
CREATE TABLE idempotency_keys (
    company_id  bigint      NOT NULL,
    owner       text        NOT NULL,            -- the token or key that sent it: apiToken:7
    key         text        NOT NULL,
    digest      bytea       NOT NULL,            -- SHA-256 of method, path and body
    job_id      bigint,                          -- null only inside the accepting transaction
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (company_id, owner, key),
    CONSTRAINT idempotency_keys_company_fkey FOREIGN KEY (company_id) REFERENCES companies,
    CONSTRAINT idempotency_keys_job_fkey FOREIGN KEY (job_id) REFERENCES jobs ON DELETE CASCADE,
    CONSTRAINT idempotency_keys_length CHECK (char_length(key) BETWEEN 1 AND 255)
);
CREATE INDEX idempotency_keys_job_index ON idempotency_keys (job_id);
CREATE INDEX idempotency_keys_created_index ON idempotency_keys (created_at);

-- Letters staged per company and UTC day; the cap is decided by the row lock of its upsert.
CREATE TABLE mail_days (
    company_id  bigint  NOT NULL,
    day         date    NOT NULL,
    letters     integer NOT NULL,
    CONSTRAINT mail_days_pkey PRIMARY KEY (company_id, day),
    CONSTRAINT mail_days_company_fkey FOREIGN KEY (company_id) REFERENCES companies
);

-- Who changed what, from where. Append-only: the triggers below refuse everything else, also to ourselves.
CREATE TABLE audit_events (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    company_id     bigint      NOT NULL,
    at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_type     text        NOT NULL,         -- apiToken, apiKey, job or cli
    actor_id       bigint,                       -- null: the command line
    remote         text,                         -- null: not asked for over the network
    action         text        NOT NULL,         -- flow.create, version.delete, …
    subject_type   text        NOT NULL,
    subject_id     bigint      NOT NULL,
    before_digest  bytea,                        -- null: there was nothing before
    after_digest   bytea,                        -- null: nothing is left
    details        jsonb       NOT NULL DEFAULT '{}',
    CONSTRAINT audit_events_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_events_company_index ON audit_events (company_id, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_events is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER audit_events_unchanged BEFORE UPDATE OR DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_events_untruncated BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
