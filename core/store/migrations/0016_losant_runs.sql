-- What Losant's clients ask of runs: sums, errors and a log, each by when runs ended; and starts by a virtual button.

-- Who reads on from the last thing seen must find what ended since, however long ago it was due. What was accounted for
-- without being run is in neither of these.
CREATE INDEX runs_ended_index ON runs (flow_id, finished_at, id)
    WHERE status IN ('success', 'partial_success', 'failure', 'stopped');

-- Among a flow's runs of weeks its failures are few.
CREATE INDEX runs_failed_index ON runs (flow_id, finished_at, id) WHERE status IN ('failure', 'partial_success');

ALTER TABLE runs DROP CONSTRAINT runs_trigger_known;
ALTER TABLE runs ADD CONSTRAINT runs_trigger_known
    CHECK (trigger IN ('schedule', 'timer', 'manual', 'virtual_button', 'retry', 'repair'));
