-- Undo: what one job deleted is kept and purged as a whole, by its job, so that accepting an undo is one small write.

-- The ETag of a flow; rises with every change of the flow or of which version is deployed.
ALTER TABLE flows ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE deleted_flows ADD COLUMN revision integer NOT NULL DEFAULT 1;
ALTER TABLE deleted_flows ADD COLUMN updated_by_type text NOT NULL DEFAULT 'cli';
ALTER TABLE deleted_flows ADD COLUMN updated_by_id bigint;      -- null: changed by the command line

-- What it takes to bring a version back as it was. Entries from before this migration are folded by the server.
ALTER TABLE deleted_versions ADD COLUMN name_folded text COLLATE "C";
UPDATE deleted_versions SET name_folded = lower(name) WHERE name IS NOT NULL;

-- Null from now on for what a job deleted: it goes when the job's undo_until has passed.
ALTER TABLE deleted_versions ALTER COLUMN purge_after DROP NOT NULL;
ALTER TABLE deleted_flows ALTER COLUMN purge_after DROP NOT NULL;
UPDATE deleted_versions SET purge_after = NULL WHERE job_id IS NOT NULL;
UPDATE deleted_flows SET purge_after = NULL;
ALTER TABLE deleted_versions ADD CONSTRAINT deleted_versions_purged_somehow
    CHECK ((purge_after IS NULL) = (job_id IS NOT NULL));
DROP INDEX deleted_versions_purge_index;
CREATE INDEX deleted_versions_purge_index ON deleted_versions (purge_after) WHERE purge_after IS NOT NULL;
DROP INDEX deleted_flows_purge_index;

-- An undo walks what a job deleted in this order, and the job's results look single versions up.
DROP INDEX deleted_versions_job_index;
CREATE UNIQUE INDEX deleted_versions_job_index ON deleted_versions (job_id, version_id) WHERE job_id IS NOT NULL;

ALTER TABLE jobs ADD COLUMN undoes bigint;                      -- null: not an undo; else the job it takes back
ALTER TABLE jobs ADD COLUMN walked bigint NOT NULL DEFAULT 0;   -- an undo's cursor: the last version looked at
ALTER TABLE jobs ADD COLUMN purged_at timestamptz;              -- null: what it deleted, if anything, is still there
ALTER TABLE jobs ADD CONSTRAINT jobs_undoes_fkey FOREIGN KEY (undoes) REFERENCES jobs ON DELETE SET NULL;
-- One undo a job: a repeat finds this one.
CREATE UNIQUE INDEX jobs_one_undo ON jobs (undoes) WHERE undoes IS NOT NULL;
CREATE INDEX jobs_purge_index ON jobs (undo_until) WHERE undo_until IS NOT NULL AND purged_at IS NULL;
