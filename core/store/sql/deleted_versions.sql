-- name: purge_versions
-- Ends what can no longer be undone, oldest first, so many at a time that nobody waits for it.
DELETE FROM deleted_versions WHERE id IN (
    SELECT id FROM deleted_versions WHERE purge_after < clock_timestamp()
    ORDER BY purge_after LIMIT $1
    FOR UPDATE SKIP LOCKED
);

-- name: purge_flows
-- The same for deleted flows.
DELETE FROM deleted_flows WHERE id IN (
    SELECT id FROM deleted_flows WHERE purge_after < clock_timestamp()
    ORDER BY purge_after LIMIT $1
    FOR UPDATE SKIP LOCKED
);
