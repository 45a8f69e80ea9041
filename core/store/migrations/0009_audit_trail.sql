-- The audit trail is read: newest first, from one instant to another, and of one thing.

-- Whatever reads it goes by time, so this one takes the place of the one by id, which nothing reads by.
CREATE INDEX audit_events_time_index ON audit_events (company_id, at, id);
DROP INDEX audit_events_company_index;

-- What happened to one thing: asked more than anything else, and lost in a trail of millions.
CREATE INDEX audit_events_subject_index
    ON audit_events (company_id, subject_type COLLATE "C", subject_id, at, id);
