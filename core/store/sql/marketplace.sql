-- name: pin_version
-- What an upload is of, all of one moment: the version, what of its flow goes along, and its schedules. Nobody is
-- locked: what changes afterwards is not what was asked for.
SELECT v.flow_id, f.application_id, v.status, v.name AS version, v.notes, v.revision, v.iteration, v.digest, v.body,
       f.enabled, f.name, f.description, f.flow_class, f.flow_priority, f.run_timeout_seconds,
       c.name AS company_name, clock_timestamp() AS now,
       (SELECT json_agg(json_build_object(
            'catchup_window_seconds', s.catchup_window_seconds, 'cron_string', s.cron_string,
            'live', s.deployed_at IS NOT NULL, 'overlap_policy', s.overlap_policy, 'paused', s.paused,
            'pause_reason', s.pause_reason, 'timezone', s.timezone) ORDER BY s.id)
        FROM schedules s
        WHERE s.company_id = v.company_id AND s.flow_id = v.flow_id AND s.flow_version_id = v.id) AS schedules
FROM flow_versions v
JOIN flows f ON f.id = v.flow_id AND f.company_id = v.company_id AND f.removing_since IS NULL
JOIN companies c ON c.id = v.company_id
WHERE v.company_id = $1 AND v.id = $2 AND ($3::bigint IS NULL OR v.flow_id = $3)
  AND ($4::bigint IS NULL OR f.application_id = $4);

-- name: find_pinned_body
-- The content of the revision an upload was accepted for: of the version, if it still has it, else of the trash. The
-- same digest is the same content.
SELECT body FROM (
    SELECT body, 0 AS place FROM flow_versions
    WHERE company_id = $1 AND flow_id = $2 AND id = $3 AND digest = $4
    UNION ALL
    SELECT body, 1 FROM deleted_versions
    WHERE company_id = $1 AND flow_id = $2 AND version_id = $3 AND digest = $4
) AS found ORDER BY place LIMIT 1;

-- name: insert_item
-- An item with its file, whole or not at all. No row: the company has this very artifact there already.
WITH item AS (
    INSERT INTO marketplace_items (company_id, flow_id, version_id, name, name_folded, version, description, private,
                                   digest, size, key_id, job_id, uploaded_by_type, uploaded_by_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT ON CONSTRAINT marketplace_items_digest_key DO NOTHING
    RETURNING id, company_id
)
INSERT INTO marketplace_artifacts (item_id, company_id, file)
SELECT id, company_id, $15 FROM item
RETURNING item_id;

-- name: find_item_by_digest
-- The item that was there first.
SELECT id FROM marketplace_items WHERE company_id = $1 AND digest = $2 AND private = $3;

-- name: list_marketplace_items
-- A page of what a company can see, narrowed and ordered by what is put in.
SELECT i.*, c.name AS company_name, y.created_at AS yanked_at, y.reason AS yank_reason,
       (SELECT count(*) FROM marketplace_installs n WHERE n.item_id = i.id) AS installed_count
FROM visible_items($1) i
JOIN companies c ON c.id = i.company_id
LEFT JOIN marketplace_yanks y ON y.item_id = i.id
WHERE /* query */ TRUE
ORDER BY /* order */ 1
LIMIT $2 OFFSET $3;

-- name: count_marketplace_items
-- How many list_items has to page through.
SELECT count(*)
FROM visible_items($1) i
LEFT JOIN marketplace_yanks y ON y.item_id = i.id
WHERE /* query */ TRUE;

-- name: show_marketplace_items
-- A page of what the company of whoever asks can see, as it is shown, narrowed and ordered by what is put in, with the ids
-- in this order, and how many there are in all; and who asks, in one round trip. A page that ends the list tells how long
-- it is.
SELECT t.*, page.items, page.ids,
       CASE WHEN page.size < $5 AND (page.size > 0 OR $6 = 0) THEN $6 + page.size
            ELSE (SELECT count(*)
                  FROM visible_items(t.company_id) i
                  LEFT JOIN marketplace_yanks y ON y.item_id = i.id
                  WHERE /* query */ TRUE)
       END AS total
FROM open_caller($1, $2, $3, $4) t
CROSS JOIN LATERAL (
    SELECT coalesce(string_agg(/* shown */ ''::bytea, ','::bytea ORDER BY /* order */ 1), '') AS items,
           array_agg(i.id ORDER BY /* order */ 1) AS ids, count(*) AS size
    FROM marketplace_items i
    JOIN companies c ON c.id = i.company_id
    LEFT JOIN marketplace_yanks y ON y.item_id = i.id
    WHERE i.id = ANY(ARRAY(
        SELECT i.id
        FROM visible_items(t.company_id) i
        LEFT JOIN marketplace_yanks y ON y.item_id = i.id
        WHERE /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $5 OFFSET $6
    ))
) AS page;

-- name: find_visible_file
-- The signed file of an item that a company can see, yanked or not.
SELECT a.file FROM visible_items($1) i JOIN marketplace_artifacts a ON a.item_id = i.id WHERE i.id = $2;

-- name: insert_yank
-- Takes an item back. No row: it was taken back before.
INSERT INTO marketplace_yanks (item_id, company_id, reason, yanked_by_type, yanked_by_id)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT ON CONSTRAINT marketplace_yanks_pkey DO NOTHING
RETURNING item_id;

-- name: insert_install
-- That an item became a flow of a company, by which job.
INSERT INTO marketplace_installs (job_id, item_id, company_id, flow_id) VALUES ($1, $2, $3, $4);

-- name: lock_log
-- One at a time adds to a company's log: whoever holds its company, which nothing else does for long. Read the head in
-- a later statement.
SELECT id FROM companies WHERE id = $1 FOR NO KEY UPDATE;

-- name: read_log_head
-- The newest entry of a locked log, and the time of the next one.
SELECT coalesce(l.sequence, 0) AS sequence, l.hash, clock_timestamp() AS now
FROM (SELECT) AS nothing
LEFT JOIN LATERAL (
    SELECT sequence, hash FROM marketplace_log WHERE company_id = $1 ORDER BY sequence DESC LIMIT 1
) AS l ON true;

-- name: append_log
-- What follows on the head; a trigger refuses what does not.
INSERT INTO marketplace_log (company_id, sequence, kind, item_id, entry, previous, hash, key_id, signature)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- name: list_log
-- A page of the log entries about items that a company can see, the newest first, company by company; null in $2 means
-- every company's. Of one whose items it can all see the chain has no gap.
SELECT l.company_id, l.sequence, l.kind, l.item_id, l.entry AS text, l.previous, l.hash, l.key_id, l.signature
FROM marketplace_log l
WHERE EXISTS (SELECT FROM visible_items($1) i WHERE i.id = l.item_id) AND ($2::bigint[] IS NULL OR l.company_id = ANY ($2))
ORDER BY l.company_id, l.sequence DESC
LIMIT $3 OFFSET $4;

-- name: count_log
-- How many list_log has to page through.
SELECT count(*)
FROM marketplace_log l
WHERE EXISTS (SELECT FROM visible_items($1) i WHERE i.id = l.item_id) AND ($2::bigint[] IS NULL OR l.company_id = ANY ($2));
