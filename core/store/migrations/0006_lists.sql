-- Lists of flows and of the job log: sorted by whatever a caller can ask, and searched without regard to case.

-- The name as comparisons that ignore case see it, folded by the program: the same on every server. Flows from before
-- this migration are folded by the server.
ALTER TABLE flows ADD COLUMN name_folded text COLLATE "C";
UPDATE flows SET name_folded = lower(name);
ALTER TABLE deleted_flows ADD COLUMN name_folded text COLLATE "C";
UPDATE deleted_flows SET name_folded = lower(name);

-- A page of an application's flows in each order there is; by id there is one already.
CREATE INDEX flows_name_index ON flows (application_id, name COLLATE "C", id) WHERE removing_since IS NULL;
CREATE INDEX flows_created_index ON flows (application_id, created_at, id) WHERE removing_since IS NULL;
CREATE INDEX flows_updated_index ON flows (application_id, updated_at, id) WHERE removing_since IS NULL;

-- A page of an application's job log in the order it is usually read in. Letters and callbacks are no entries.
CREATE INDEX jobs_log_index ON jobs (application_id, created_at, id) WHERE parent_id IS NULL;
