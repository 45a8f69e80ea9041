-- name: record_event
-- Written by every changing operation in its own transaction.
INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id,
                          before_digest, after_digest, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);
