-- A company as its own people see it: where its flows run, and what was done in it.

-- For the flows that name no runner of their own.
ALTER TABLE companies ADD COLUMN runner_url text;               -- null: none
ALTER TABLE companies ADD COLUMN revision integer NOT NULL DEFAULT 1;   -- rises with every change that people make
ALTER TABLE companies ADD CONSTRAINT companies_runner_url_length CHECK (char_length(runner_url) <= 1024);

-- Whatever reads the audit trail goes by time, so this one takes the place of the one by id, which nothing reads by.
CREATE INDEX audit_events_time_index ON audit_events (company_id, at, id);
DROP INDEX audit_events_company_index;

-- What happened to one thing: asked more than anything else, and lost in a trail of millions.
CREATE INDEX audit_events_subject_index
    ON audit_events (company_id, subject_type COLLATE "C", subject_id, at, id);
