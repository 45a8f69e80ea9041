-- Runs: what became of every instant a schedule was due at, of every timer of a deployed version, and of every start by
-- hand. The scheduler writes it, dispatch carries it out.

-- Timer triggers of deployed versions, read from their content when it is deployed. They are due like schedules and
-- share their ids, so that one ledger accounts for both. They go when the version does; what they did stays.
CREATE TABLE timers (
    id              bigint  NOT NULL,                -- from the ids of schedules
    company_id      bigint  NOT NULL,
    flow_id         bigint  NOT NULL,
    flow_version_id bigint  NOT NULL,
    trigger_key     text    NOT NULL,                -- the trigger's own key, else its position
    cron_string     text COLLATE "C",                -- null: every so many seconds
    timezone        text COLLATE "C" NOT NULL,
    every_seconds   integer,
    CONSTRAINT timers_pkey PRIMARY KEY (id),
    CONSTRAINT timers_trigger_key UNIQUE (flow_version_id, trigger_key),
    CONSTRAINT timers_one_way CHECK ((cron_string IS NULL) <> (every_seconds IS NULL)),
    CONSTRAINT timers_every_range CHECK (every_seconds BETWEEN 1 AND 31622400)
);
CREATE INDEX timers_flow_index ON timers (flow_id);

-- Where a schedule or timer stands: the one row that is locked to account for it, to edit it, and to begin, buffer or
-- end one of its runs. Narrow, since every fire rewrites it. It stays while runs of it go on, live or not.
CREATE TABLE schedule_states (
    schedule_id     bigint      NOT NULL,
    company_id      bigint      NOT NULL,
    flow_id         bigint      NOT NULL,
    flow_version_id bigint      NOT NULL,
    live_since      timestamptz,                     -- its instants later than this count; null: it is not live
    next_due        timestamptz,                     -- the first instant without an account; null: not live, or never
    active_runs     integer     NOT NULL DEFAULT 0,  -- its runs that are queued or started, without those buffered
    buffered_runs   integer     NOT NULL DEFAULT 0,  -- its runs that wait for an active one to end
    CONSTRAINT schedule_states_pkey PRIMARY KEY (schedule_id),
    CONSTRAINT schedule_states_counted CHECK (active_runs >= 0 AND buffered_runs >= 0),
    CONSTRAINT schedule_states_due_while_live CHECK (next_due IS NULL OR live_since IS NOT NULL)
) WITH (fillfactor = 70);
CREATE INDEX schedule_states_due_index ON schedule_states (next_due) WHERE next_due IS NOT NULL;

-- The ledger. The unique key is the last word on "never twice": what an insert does not return is not dispatched.
-- No foreign keys: it outlives schedules, versions and flows.
CREATE SEQUENCE runs_id_seq;
CREATE TABLE runs (
    id                bigint      NOT NULL DEFAULT nextval('runs_id_seq'),
    company_id        bigint      NOT NULL,
    flow_id           bigint      NOT NULL,
    flow_version_id   bigint      NOT NULL,
    schedule_id       bigint,                          -- of a schedule or timer; null: started by hand or retried
    scheduled_for     timestamptz NOT NULL,            -- the due instant; by hand: when the start was accepted
    trigger           text        NOT NULL,
    trigger_key       text,                            -- of a timer
    status            text        NOT NULL,
    reason            text,                            -- a stable word: why skipped, missed, stopped or failed
    message           text,                            -- the same for people, if there is more to say
    buffered          boolean     NOT NULL DEFAULT false,   -- queued, and not before an active run has ended
    dst_merged        boolean     NOT NULL DEFAULT false,   -- two local times met in this instant
    version_name      text COLLATE "C",                -- these four as they were when the run was claimed
    version_iteration integer     NOT NULL,
    version_revision  integer     NOT NULL,
    digest            bytea       NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts          integer     NOT NULL DEFAULT 0,  -- requests to the runner that were begun
    due_at            timestamptz,                     -- when dispatch has to look at it again: its next try, or the end
                                                       -- of the wait for its report; null: a job has it, or nobody need
    job_id            bigint,                          -- the dispatch job it was last given to
    dispatched_at     timestamptz,                     -- the first request was begun
    started_at        timestamptz,                     -- the runner has it
    finished_at       timestamptz,
    stop_requested_at timestamptz,
    result            json,                            -- what the runner answered or reported
    late_result       json,                            -- the same after the end; it changed nothing
    payload           bytea,                           -- of a start by hand, as it came
    payload_type      text,
    message_key       text COLLATE "C",                -- its webhook-id, where no due instant names it
    retry_of          bigint,
    requested_by_type text,                            -- null: nobody, it was due
    requested_by_id   bigint,
    CONSTRAINT runs_pkey PRIMARY KEY (id, scheduled_for),
    CONSTRAINT runs_instant_key UNIQUE (schedule_id, scheduled_for),
    CONSTRAINT runs_trigger_known CHECK (trigger IN ('schedule', 'timer', 'manual', 'retry', 'repair')),
    CONSTRAINT runs_status_known CHECK (status IN
        ('queued', 'started', 'success', 'failure', 'stopped', 'partial_success', 'skipped', 'missed')),
    CONSTRAINT runs_finished_terminal CHECK ((status IN ('queued', 'started')) = (finished_at IS NULL)),
    CONSTRAINT runs_buffered_queued CHECK (NOT buffered OR status = 'queued'),
    CONSTRAINT runs_due_unfinished CHECK (due_at IS NULL OR (status IN ('queued', 'started') AND NOT buffered)),
    CONSTRAINT runs_named CHECK (schedule_id IS NOT NULL OR message_key IS NOT NULL)
) PARTITION BY RANGE (scheduled_for);
CREATE INDEX runs_company_index ON runs (company_id, scheduled_for, id);
CREATE INDEX runs_flow_index ON runs (flow_id, scheduled_for, id);
CREATE INDEX runs_started_index ON runs (company_id, started_at, id) WHERE started_at IS NOT NULL;
CREATE INDEX runs_due_index ON runs (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX runs_buffered_index ON runs (schedule_id, scheduled_for) WHERE buffered;

-- What no week was made for lands here: nothing is lost, and the scheduler says so as an error until it is moved.
CREATE TABLE runs_default PARTITION OF runs DEFAULT;

-- Instants in a row that were not run, as one account. Expanded on read from the expression they were due by.
CREATE TABLE run_gaps (
    id              bigint      GENERATED ALWAYS AS IDENTITY,
    company_id      bigint      NOT NULL,
    flow_id         bigint      NOT NULL,
    flow_version_id bigint      NOT NULL,
    schedule_id     bigint      NOT NULL,
    first_at        timestamptz NOT NULL,
    until_at        timestamptz NOT NULL,            -- later than the last of them, and none is due in between
    instants        bigint      NOT NULL,
    reason          text        NOT NULL,
    cron_string     text COLLATE "C",                -- null: every so many seconds
    timezone        text COLLATE "C" NOT NULL,
    every_seconds   integer,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT run_gaps_pkey PRIMARY KEY (id),
    CONSTRAINT run_gaps_instant_key UNIQUE (schedule_id, first_at),
    CONSTRAINT run_gaps_in_order CHECK (first_at < until_at AND instants >= 1),
    CONSTRAINT run_gaps_reason_known CHECK (reason IN ('missed', 'paused', 'disabled', 'firing_paused')),
    CONSTRAINT run_gaps_one_way CHECK ((cron_string IS NULL) <> (every_seconds IS NULL))
);
CREATE INDEX run_gaps_until_index ON run_gaps (until_at);

-- What runners told of their runs, kept for days, a partition each.
CREATE SEQUENCE run_logs_id_seq;
CREATE TABLE run_logs (
    id           bigint      NOT NULL DEFAULT nextval('run_logs_id_seq'),
    company_id   bigint      NOT NULL,
    run_id       bigint      NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    logged_at    timestamptz,                        -- by the runner's clock, if it said so
    level        text        NOT NULL,
    message      text        NOT NULL,
    details      json,
    CONSTRAINT run_logs_pkey PRIMARY KEY (run_id, id, received_at)
) PARTITION BY RANGE (received_at);
CREATE TABLE run_logs_default PARTITION OF run_logs DEFAULT;

-- How a runner has done lately: who fails again and again is left alone for a while.
CREATE TABLE runner_circuits (
    company_id  bigint      NOT NULL,
    runner      text        NOT NULL,                -- its URL without the query
    failures    integer     NOT NULL DEFAULT 0,      -- in a row
    open_until  timestamptz,                         -- null: closed
    changed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT runner_circuits_pkey PRIMARY KEY (company_id, runner)
);

-- When nothing at all was fired: an operator's switch. Instants in between are accounted for as skipped.
CREATE TABLE firing_pauses (
    id          bigint      GENERATED ALWAYS AS IDENTITY,
    began_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    reason      text,
    CONSTRAINT firing_pauses_pkey PRIMARY KEY (id),
    CONSTRAINT firing_pauses_in_order CHECK (began_at <= ended_at)
);
CREATE UNIQUE INDEX firing_pauses_one ON firing_pauses ((ended_at IS NULL)) WHERE ended_at IS NULL;

-- A start by hand answers a repeated key with the run it made.
ALTER TABLE idempotency_keys ADD COLUMN run_id bigint;

-- Makes the partition of `parent` that begins on this day in UTC, unless it is there, and moves into it what had to go
-- to the default one meanwhile. Attaching locks the default partition only, so others go on writing; whoever makes the
-- same one waits for the advisory lock. Returns how many rows were moved.
CREATE FUNCTION make_partition(parent text, first_day date, days integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    part text := format('%s_%s', parent, to_char(first_day, 'YYYYMMDD'));
    span text := CASE parent WHEN 'runs' THEN 'scheduled_for' ELSE 'received_at' END;
    low  timestamptz := first_day::timestamp AT TIME ZONE 'UTC';
    high timestamptz := (first_day + days)::timestamp AT TIME ZONE 'UTC';
    moved bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1346720333);
    -- Not by to_regclass, here: it may remember from before the wait that there was none.
    IF EXISTS (SELECT FROM pg_class c WHERE c.relname = part AND c.relnamespace = 'public'::regnamespace) THEN
        RETURN 0;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = 85)', part, parent);
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent || '_default');
    EXECUTE format('WITH moved AS (DELETE FROM %1$I WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *) '
                   'INSERT INTO %5$I SELECT * FROM moved', parent || '_default', span, low, high, part);
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, low, high);
    RETURN moved;
END $$;

-- Drops the oldest partition of `parent` whose days have all passed before this one; returns its name, null if there is
-- none. It needs all of `parent` for a moment, and gives up rather than keep others waiting for it.
CREATE FUNCTION drop_partition(parent text, before date, days integer) RETURNS text LANGUAGE plpgsql
SET lock_timeout = '1s' AS $$
DECLARE
    part text;
BEGIN
    SELECT c.relname INTO part
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = parent::regclass AND c.relname ~ '_[0-9]{8}$'
      AND to_date(right(c.relname, 8), 'YYYYMMDD') + days <= before
    ORDER BY c.relname LIMIT 1;
    IF part IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', part);
    END IF;
    RETURN part;
END $$;

SELECT make_partition('runs', date_trunc('week', clock_timestamp() AT TIME ZONE 'UTC')::date + 7 * n, 7)
FROM generate_series(-1, 2) AS n;
SELECT make_partition('run_logs', (clock_timestamp() AT TIME ZONE 'UTC')::date + n, 1) FROM generate_series(0, 2) AS n;

-- The same as the function of migration 0010, but for flows about which firing has something to account for, or timers
-- to read: those go the long way, as flows with schedules do. What is live is a schedule or a timer of the flow.
CREATE OR REPLACE FUNCTION deploy_at_once(
    company bigint, application bigint, flow bigint, version bigint, planned_for timestamptz, by_type text, by_id bigint,
    from_remote text
)
RETURNS SETOF flow_versions
LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
BEGIN
    PERFORM FROM flows f
    WHERE f.id = flow AND f.company_id = company AND (application IS NULL OR f.application_id = application)
      AND f.removing_since IS NULL AND f.flow_class <> 'customNode'
    FOR NO KEY UPDATE;
    IF NOT FOUND OR planned_for > clock_timestamp() OR EXISTS (SELECT FROM schedules s WHERE s.flow_id = flow)
       OR EXISTS (SELECT FROM timers t WHERE t.flow_id = flow) THEN
        RETURN;
    END IF;
    PERFORM FROM flow_versions v
    WHERE v.id = version AND v.flow_id = flow AND v.company_id = company AND v.status = 'Inactive'
      AND NOT EXISTS (
          SELECT FROM json_array_elements(
              CASE WHEN json_typeof(v.body -> 'triggers') = 'array' THEN v.body -> 'triggers' ELSE '[]' END
          ) AS t (value)
          WHERE CASE WHEN json_typeof(t.value) = 'object' THEN t.value ->> 'type' = 'timer' END
      )
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM release_deployed(company, flow, version, by_type, by_id, from_remote);
    UPDATE flows f
    SET revision = f.revision + 1, updated_at = clock_timestamp(), updated_by_type = by_type, updated_by_id = by_id
    WHERE f.id = flow AND f.company_id = company;
    RETURN QUERY SELECT * FROM promote_version(company, version, by_type, by_id, from_remote, NULL, NULL, '{}');
END
$$;
