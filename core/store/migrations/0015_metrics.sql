-- Version metrics: numbers of the runs of each version, by five minutes, hour and day, folded from the ledger.

-- What the ledger has come to know and the metrics have not: a row for each run that ended, written by the statement
-- that ended it, and one for as many skipped or missed instants as were accounted for together. Whoever folds a row
-- deletes it in the same transaction, so each counts once. Emptied all the time, hence vacuumed by number, not share.
CREATE TABLE run_endings (
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    flow_id         bigint      NOT NULL,
    flow_version_id bigint      NOT NULL,
    status          text        NOT NULL,
    ended_at        timestamptz NOT NULL,            -- finished_at of the run, or created_at of the gap
    number          bigint      NOT NULL DEFAULT 1,  -- less than none: missed before, and run after all
    attempts        integer     NOT NULL DEFAULT 0,
    duration_us     bigint,                          -- null: it never began, as far as anybody knows
    lateness_us     bigint,
    payload_bytes   bigint,                          -- null: it was started with nothing
    metrics         text,                            -- JSON: numbers by name, if its runner told any
    CONSTRAINT run_endings_pkey PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- One number, or one distribution, of a version in a period. Of a distribution the buckets that hold anything, in
-- order, and how many values each of them has; core/domain/metrics.py says where a bucket begins and ends. Sums are
-- exact, so it does not matter who folded what, or in which order. No foreign keys: they outlive versions and flows.
CREATE TABLE version_metrics (
    company_id      bigint           NOT NULL,
    flow_id         bigint           NOT NULL,
    flow_version_id bigint           NOT NULL,
    type            text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,       -- of runs the status, of custom the runner's name for it, else ''
    span            text COLLATE "C" NOT NULL,       -- how long the period is
    period_start    timestamptz      NOT NULL,
    count           bigint           NOT NULL,
    total           numeric,                         -- null, as what follows, where there is no distribution
    squares         numeric,
    least           double precision,
    greatest        double precision,
    buckets         smallint[],
    counts          bigint[],
    CONSTRAINT version_metrics_pkey PRIMARY KEY (flow_id, span, type, period_start, flow_version_id, key),
    CONSTRAINT version_metrics_type_known CHECK (type IN ('runs', 'duration', 'lateness', 'payload', 'custom')),
    CONSTRAINT version_metrics_span_known CHECK (span IN ('5m', 'hour', 'day'))
) WITH (fillfactor = 80);
-- For the pruner alone. Not by the column itself: a list is in the order of the periods of one flow, and to leaf through
-- those of all flows for it must not look like a way.
CREATE INDEX version_metrics_period_index ON version_metrics (span, (period_start AT TIME ZONE 'UTC'));

-- What the ledger does not have any more: runs due before this. Metrics of those days cannot be made from it again.
CREATE TABLE ledger_horizons (
    parent  text        NOT NULL,
    before  timestamptz NOT NULL,
    CONSTRAINT ledger_horizons_pkey PRIMARY KEY (parent)
);

-- The same as the function of migration 0013, which says afterwards what is gone.
CREATE OR REPLACE FUNCTION drop_partition(parent text, before date, days integer) RETURNS text LANGUAGE plpgsql
SET lock_timeout = '1s' AS $$
DECLARE
    part text;
    gone timestamptz;
BEGIN
    SELECT c.relname INTO part
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass AND c.relname ~ '_[0-9]{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') + days <= before
    ORDER BY c.relname LIMIT 1;
    IF part IS NOT NULL THEN
        gone := (to_date(right(part, 8), 'YYYYMMDD') + days)::timestamp AT TIME ZONE 'UTC';
        EXECUTE format('DROP TABLE %I', part);
        INSERT INTO ledger_horizons AS h VALUES (drop_partition.parent, gone)
        ON CONFLICT ON CONSTRAINT ledger_horizons_pkey DO UPDATE SET before = greatest(h.before, gone);
    END IF;
    RETURN part;
END $$;
