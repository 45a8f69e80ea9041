-- name: count_letter
-- Counts one more letter of today. The upsert locks the row, so two jobs that end together get two numbers.
INSERT INTO mail_days (company_id, day, letters)
VALUES ($1, (clock_timestamp() AT TIME ZONE 'UTC')::date, 1)
ON CONFLICT ON CONSTRAINT mail_days_pkey DO UPDATE SET letters = mail_days.letters + 1
RETURNING letters;

-- name: prune_days
-- Yesterday's count decides nothing any more.
DELETE FROM mail_days WHERE day < (clock_timestamp() AT TIME ZONE 'UTC')::date - 1;
