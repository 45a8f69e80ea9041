-- What a flow keeps between its runs: values by key, and the trash they go to.

-- One row a flow that ever stored anything: what is told of its storage without reading the values. It stays when the
-- storage is emptied, so that the revision, which is the storage's ETag, never goes back. No foreign key points at the
-- flow: a worker of the release before this one, which knows no storages, must still be able to remove it.
CREATE TABLE flow_storages (
    flow_id      bigint  NOT NULL,
    company_id   bigint  NOT NULL,
    revision     bigint  NOT NULL DEFAULT 1,     -- rises with every change of any value, which may be many a second
    keys_count   integer NOT NULL,
    memory_used  integer NOT NULL,               -- bytes of all keys and values
    CONSTRAINT flow_storages_pkey PRIMARY KEY (flow_id),
    CONSTRAINT flow_storages_counted CHECK (keys_count >= 0 AND memory_used >= 0)
);

CREATE TABLE flow_storage_entries (
    flow_id     bigint           NOT NULL,
    company_id  bigint           NOT NULL,
    key         text COLLATE "C" NOT NULL,
    value       json             NOT NULL,       -- text as received, so that what was sent is what is read
    CONSTRAINT flow_storage_entries_pkey PRIMARY KEY (flow_id, key),
    CONSTRAINT flow_storage_entries_storage_fkey FOREIGN KEY (flow_id) REFERENCES flow_storages,
    CONSTRAINT flow_storage_entries_key_length CHECK (char_length(key) BETWEEN 1 AND 255)
);

-- What was deleted from storages, one row a deletion: a key, everything at once, or the storage of a deleted flow.
CREATE TABLE deleted_storages (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    company_id   bigint      NOT NULL,
    flow_id      bigint      NOT NULL,
    job_id       bigint,                         -- null: deleted by itself; else by the removal of its flow
    reason       text        NOT NULL,
    entries      json        NOT NULL,           -- an object: key -> value, each value's text as it was received
    first_keys   text[]      NOT NULL,           -- a few of them, so that a list need not read the values
    keys_count   integer     NOT NULL,
    memory_used  integer     NOT NULL,
    revision     bigint      NOT NULL,           -- the storage's, before the deletion
    deleted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    purge_after  timestamptz,                    -- null: goes when the job's undo_until has passed
    CONSTRAINT deleted_storages_pkey PRIMARY KEY (id),
    CONSTRAINT deleted_storages_reason_known CHECK (reason IN ('deleted', 'cleared', 'replaced', 'flow_deleted')),
    CONSTRAINT deleted_storages_purged_somehow CHECK ((purge_after IS NULL) = (job_id IS NOT NULL))
);
CREATE INDEX deleted_storages_flow_index ON deleted_storages (flow_id, id);
CREATE UNIQUE INDEX deleted_storages_job_index ON deleted_storages (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX deleted_storages_purge_index ON deleted_storages (purge_after) WHERE purge_after IS NOT NULL;
