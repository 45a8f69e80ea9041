-- name: create_user
-- Somebody who may log in from this commit on. A taken address breaks users_email_key.
INSERT INTO users (company_id, email, email_folded, name, role, password_hash)
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING *;

-- name: list_users
-- A company's people, for the command line; those whose access is closed too.
SELECT * FROM users WHERE company_id = $1 ORDER BY id;

-- name: find_user
-- A user by number, for the command line, which names users by it alone.
SELECT * FROM users WHERE id = $1;

-- name: find_user_by_email
-- A company's user by address, in its folded form.
SELECT * FROM users WHERE company_id = $1 AND email_folded = $2;

-- name: set_password
-- Every token of before opens nothing from this commit on, since it names an older epoch.
UPDATE users SET password_hash = $3, epoch = epoch + 1 WHERE id = $2 AND company_id = $1 RETURNING id;

-- name: set_role
-- What the user may do from this commit on; roles are looked up with each request, so tokens stay as they are.
UPDATE users SET role = $3 WHERE id = $2 AND company_id = $1 RETURNING id;

-- name: close_user
-- No login, and no token of before, opens anything from this commit on. Closing twice changes nothing.
UPDATE users SET closed_at = clock_timestamp(), epoch = epoch + 1
WHERE id = $2 AND company_id = $1 AND closed_at IS NULL
RETURNING id;

-- name: close_users
-- The same for everybody of a company.
UPDATE users SET closed_at = clock_timestamp(), epoch = epoch + 1
WHERE company_id = $1 AND closed_at IS NULL
RETURNING id;

-- name: reopen_user
-- The user may log in again; tokens of before stay closed.
UPDATE users SET closed_at = NULL WHERE id = $2 AND company_id = $1 AND closed_at IS NOT NULL RETURNING id;

-- name: delete_user
-- With the OAuth clients that acted for the user. What the user did stays in the audit trail, under the number.
DELETE FROM users WHERE id = $2 AND company_id = $1 RETURNING id;

-- name: find_login
-- Whose address this is and what a password is compared with, unless that user's access is closed.
SELECT id, company_id, password_hash, epoch FROM users WHERE email_folded = $1 AND closed_at IS NULL;

-- name: is_still_open
-- The user once more, after the password was compared, which took its time. Nothing is locked: a token names the epoch
-- its password was compared in, so one that overtakes a change here opens nothing.
SELECT EXISTS (SELECT FROM users WHERE id = $2 AND company_id = $1 AND epoch = $3 AND closed_at IS NULL);

-- name: renew_hash
-- The same password hashed with the parameters of today, unless another was set meanwhile. Whoever knew the password
-- still does, so tokens stay open.
UPDATE users SET password_hash = $4 WHERE id = $2 AND company_id = $1 AND epoch = $3;
