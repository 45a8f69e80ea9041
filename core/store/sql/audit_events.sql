-- name: record_event
-- Written by every changing operation in its own transaction.
INSERT INTO audit_events (company_id, actor_type, actor_id, remote, action, subject_type, subject_id,
                          before_digest, after_digest, details)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

-- name: list_events
-- A page of a company's trail, newest first, of what meets the query put in. $4 and $5 are the last event of the page
-- before, for whoever reads it all: a place in the index, where an offset would be counted off from the start.
SELECT e.id, e.at, e.actor_type, e.actor_id, e.remote, e.action, e.subject_type, e.subject_id, e.before_digest,
       e.after_digest, e.details
FROM audit_events e
WHERE e.company_id = $1
  AND e.at >= coalesce($2::timestamptz, '-infinity') AND e.at < coalesce($3::timestamptz, 'infinity')
  AND (e.at, e.id) < (coalesce($4::timestamptz, 'infinity'), coalesce($5::bigint, 0))
  AND /* query */ TRUE
ORDER BY e.at DESC, e.id DESC
LIMIT $6 OFFSET $7;

-- name: count_events
-- How many events list_events has to page through.
SELECT count(*) FROM audit_events e
WHERE e.company_id = $1
  AND e.at >= coalesce($2::timestamptz, '-infinity') AND e.at < coalesce($3::timestamptz, 'infinity')
  AND /* query */ TRUE;
