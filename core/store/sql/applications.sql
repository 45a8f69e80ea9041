-- name: create_application
-- A container of flows.
INSERT INTO applications (company_id, name, is_default) VALUES ($1, $2, $3) RETURNING id;

-- name: list_applications
-- A company's applications, for the command line.
SELECT id, company_id, name, is_default, created_at FROM applications WHERE company_id = $1 ORDER BY id;

-- name: find_default_application
-- The application every company is born with.
SELECT id FROM applications WHERE company_id = $1 AND is_default;

-- name: find_application_company
-- Whose an application is, for the command line, which names applications by id alone.
SELECT company_id FROM applications WHERE id = $1;
