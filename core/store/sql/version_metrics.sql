-- name: hold_back_rebuilds
-- Taken first by whoever adds to the numbers: any number may do that at once, but nobody while some are made anew.
LOCK TABLE version_metrics IN ROW EXCLUSIVE MODE;

-- name: hold_back_others
-- Taken first by whoever makes numbers anew: nobody else adds any meanwhile, and everybody can read. A transaction that
-- sees one moment only sees the one when this wait is over, since waiting for a table's lock looks at nothing.
LOCK TABLE version_metrics IN SHARE ROW EXCLUSIVE MODE;

-- name: lock_names
-- Who lets a version have names of its own metrics: one transaction at a time. By so many stripes instead of by
-- version, since a fold may have thousands of those; in order, so that two folds wait for each other in one direction.
SELECT pg_advisory_xact_lock(1346720334, stripe) FROM unnest($1::integer[]) AS stripe ORDER BY stripe;

-- name: read_names
-- The names that the numbers of these versions and days have: those of a day have all of its hours'.
SELECT m.flow_version_id, m.period_start, m.key
FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[]) AS w (flow_id, flow_version_id, period_start)
JOIN version_metrics m ON m.flow_id = w.flow_id AND m.span = 'day' AND m.period_start = w.period_start
    AND m.flow_version_id = w.flow_version_id AND m.type = 'custom'
WHERE m.key <> '';

-- name: add_metrics
-- Adds to what is there, in the order of the key: two folds that add to the same rows wait for each other, and never
-- both. Arrays of different lengths come as texts.
INSERT INTO version_metrics AS m (company_id, flow_id, flow_version_id, type, key, span, period_start, count, total,
                                  squares, least, greatest, buckets, counts)
SELECT w.company_id, w.flow_id, w.flow_version_id, w.type, w.key, w.span, w.period_start, w.count, w.total, w.squares,
       w.least, w.greatest, w.buckets::smallint[], w.counts::bigint[]
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
            $8::bigint[], $9::numeric[], $10::numeric[], $11::float8[], $12::float8[], $13::text[], $14::text[])
     AS w (company_id, flow_id, flow_version_id, type, key, span, period_start, count, total, squares, least, greatest,
           buckets, counts)
ORDER BY w.flow_id, w.span COLLATE "C", w.type COLLATE "C", w.period_start, w.flow_version_id, w.key COLLATE "C"
ON CONFLICT ON CONSTRAINT version_metrics_pkey DO UPDATE
SET count = m.count + excluded.count, total = m.total + excluded.total, squares = m.squares + excluded.squares,
    least = least(m.least, excluded.least), greatest = greatest(m.greatest, excluded.greatest),
    (buckets, counts) = (
        SELECT array_agg(b.bucket ORDER BY b.bucket), array_agg(b.count ORDER BY b.bucket)
        FROM (
            SELECT a.bucket, sum(a.count)::bigint AS count
            FROM (
                SELECT * FROM unnest(m.buckets, m.counts)
                UNION ALL
                SELECT * FROM unnest(excluded.buckets, excluded.counts)
            ) AS a (bucket, count)
            GROUP BY a.bucket
        ) AS b
    );

-- name: drop_metrics
-- The numbers of a flow in [$3, $4), which are about to be made anew. Every interval and type is named, so that what is
-- between the parts of the key that matter is not leafed through.
DELETE FROM version_metrics
WHERE company_id = $1 AND flow_id = $2 AND span IN ('5m', 'hour', 'day')
  AND type IN ('runs', 'duration', 'lateness', 'payload', 'custom') AND period_start >= $3 AND period_start < $4;

-- name: prune_metrics
-- What is past the keep time of its interval, oldest first. SKIP LOCKED: what is being added to is left for later.
DELETE FROM version_metrics WHERE (flow_id, span, period_start, flow_version_id, type, key) IN (
    SELECT flow_id, span, period_start, flow_version_id, type, key FROM version_metrics
    WHERE span = $1 AND period_start AT TIME ZONE 'UTC' < (SELECT clock_timestamp() - $2::interval) AT TIME ZONE 'UTC'
    ORDER BY period_start AT TIME ZONE 'UTC' LIMIT $3
    FOR UPDATE SKIP LOCKED
);

-- name: list_interval
-- A page of numbers of a flow: those of interval $3 whose periods begin in [$4, $5). What is told of each type is
-- ($6, $7). A number that came to nothing again, since everything missed was run after all, is as if it had never been.
-- In the key's own order nothing behind the page is read. Distributions are fetched for the page alone: sorted along,
-- those of a day would not fit into memory.
WITH page AS MATERIALIZED (
    SELECT m.* FROM (
        SELECT r.flow_version_id, r.type, r.key, r.span, r.period_start, s.stat,
               CASE r.type WHEN 'runs' THEN r.key
                           WHEN 'custom' THEN CASE r.key WHEN '' THEN 'other' ELSE r.key || ':' || s.stat END
                           ELSE s.stat END COLLATE "C" AS shown
        FROM version_metrics r
        JOIN unnest($6::text[], $7::text[]) AS s (type, stat)
          ON s.type = CASE WHEN r.type = 'custom' AND r.key = '' THEN 'other' ELSE r.type END
        WHERE r.company_id = $1 AND r.flow_id = $2 AND r.span = $3
          AND r.period_start >= $4 AND r.period_start < $5 AND r.count > 0
    ) AS m
    WHERE /* query */ TRUE
    ORDER BY /* order */ 1
    LIMIT $8 OFFSET $9
)
SELECT m.flow_version_id, m.type, m.shown, m.stat, m.span, m.period_start, r.count, r.total, r.squares, r.least,
       r.greatest, r.buckets, r.counts
FROM page m
JOIN version_metrics r ON r.company_id = $1 AND r.flow_id = $2 AND r.span = m.span AND r.period_start = m.period_start
    AND r.flow_version_id = m.flow_version_id AND r.type = m.type AND r.key = m.key
ORDER BY /* order */ 1;

-- name: list_intervals
-- The same of several intervals, ($3, $4, $5) of each; each is read up to the end of the page.
WITH page AS MATERIALIZED (
    SELECT m.*
    FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS w (span, since, until)
    CROSS JOIN LATERAL (
        SELECT m.* FROM (
            SELECT r.flow_version_id, r.type, r.key, r.span, r.period_start, s.stat,
                   CASE r.type WHEN 'runs' THEN r.key
                               WHEN 'custom' THEN CASE r.key WHEN '' THEN 'other' ELSE r.key || ':' || s.stat END
                               ELSE s.stat END COLLATE "C" AS shown
            FROM version_metrics r
            JOIN unnest($6::text[], $7::text[]) AS s (type, stat)
              ON s.type = CASE WHEN r.type = 'custom' AND r.key = '' THEN 'other' ELSE r.type END
            WHERE r.company_id = $1 AND r.flow_id = $2 AND r.span = w.span
              AND r.period_start >= w.since AND r.period_start < w.until AND r.count > 0
        ) AS m
        WHERE /* query */ TRUE
        ORDER BY /* order */ 1
        LIMIT $8::bigint + $9::bigint
    ) AS m
    ORDER BY /* order */ 1
    LIMIT $8 OFFSET $9
)
SELECT m.flow_version_id, m.type, m.shown, m.stat, m.span, m.period_start, r.count, r.total, r.squares, r.least,
       r.greatest, r.buckets, r.counts
FROM page m
JOIN version_metrics r ON r.company_id = $1 AND r.flow_id = $2 AND r.span = m.span AND r.period_start = m.period_start
    AND r.flow_version_id = m.flow_version_id AND r.type = m.type AND r.key = m.key
ORDER BY /* order */ 1;

-- name: count_metrics
-- How many numbers there are to page through, of up to $8 rows: as many as are told of each, without telling them.
SELECT coalesce(sum(c.rows * t.stats), 0)::bigint
FROM (
    SELECT m.told, count(*) AS rows FROM (
        SELECT CASE WHEN m.type = 'custom' AND m.key = '' THEN 'other' ELSE m.type END AS told
        FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS w (span, since, until)
        JOIN version_metrics m ON m.span = w.span AND m.period_start >= w.since AND m.period_start < w.until
        WHERE m.company_id = $1 AND m.flow_id = $2 AND m.count > 0 AND /* query */ TRUE
        LIMIT $8
    ) AS m
    GROUP BY m.told
) AS c
JOIN (SELECT s.type, count(*) AS stats FROM unnest($6::text[], $7::text[]) AS s (type, stat) GROUP BY s.type) AS t
  ON t.type = c.told;

-- name: count_own
-- The same where some are asked for by names of their own, each with what is to be told of it.
SELECT count(*) FROM (
    SELECT
    FROM unnest($3::text[], $4::timestamptz[], $5::timestamptz[]) AS w (span, since, until)
    CROSS JOIN LATERAL (
        SELECT m.* FROM (
            SELECT r.flow_version_id, r.type, r.key, r.span, r.period_start, s.stat,
                   CASE r.type WHEN 'runs' THEN r.key
                               WHEN 'custom' THEN CASE r.key WHEN '' THEN 'other' ELSE r.key || ':' || s.stat END
                               ELSE s.stat END COLLATE "C" AS shown
            FROM version_metrics r
            JOIN unnest($6::text[], $7::text[]) AS s (type, stat)
              ON s.type = CASE WHEN r.type = 'custom' AND r.key = '' THEN 'other' ELSE r.type END
            WHERE r.company_id = $1 AND r.flow_id = $2 AND r.span = w.span
              AND r.period_start >= w.since AND r.period_start < w.until AND r.count > 0
        ) AS m
        WHERE /* query */ TRUE
    ) AS m
    LIMIT $8
) AS counted;

-- name: read_version
-- The numbers of one version whose periods begin in [$5, $6).
SELECT type, key, count, total, squares, least, greatest, buckets, counts
FROM version_metrics
WHERE company_id = $1 AND flow_id = $2 AND flow_version_id = $3 AND span = $4
  AND type IN ('runs', 'duration', 'lateness', 'payload', 'custom') AND period_start >= $5 AND period_start < $6
  AND count > 0;

-- name: find_company
-- Whose flow it is, or was.
SELECT company_id FROM flows WHERE id = $1
UNION ALL
SELECT company_id FROM deleted_flows WHERE id = $1
LIMIT 1;
