-- What ended is found by when it ended, and whether an event is still needed by whose run it started.
CREATE INDEX runs_ended ON runs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX runs_event ON runs (event_row_id) WHERE event_row_id IS NOT NULL;
CREATE INDEX attempts_ended ON attempts (ended_at);
