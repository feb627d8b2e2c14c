-- Triggers that wait: rate limits, debounce windows, and what became of an event that did not start a run at once.

-- How far a rate limit is spent, by rendered key. A bucket that is full again needs no row.
CREATE TABLE rate_buckets (
  automation_uid TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  key TEXT NOT NULL,
  spent_until BIGINT NOT NULL,
  PRIMARY KEY (automation_uid, trigger_id, key)
);
CREATE INDEX rate_buckets_spent ON rate_buckets (spent_until);

-- What happens later: a debounce window closes (`window`), or a delayed event goes on (`delay`).
CREATE TABLE timers (
  id TEXT PRIMARY KEY,
  kind TEXT NOT NULL,
  automation_uid TEXT NOT NULL,
  automation_id TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  key TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL,
  events BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  updated_at BIGINT NOT NULL
);
CREATE INDEX timers_due ON timers (due_at);
CREATE UNIQUE INDEX timers_window ON timers (automation_uid, trigger_id, key) WHERE kind = 'window';

-- What became of an event for one automation, where that is more than a run in the event's own commit.
CREATE TABLE event_outcomes (
  event_row_id TEXT NOT NULL,
  automation_uid TEXT NOT NULL,
  automation_id TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  generation BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  key TEXT,
  timer_id TEXT,
  due_at BIGINT,
  run_id TEXT,
  arrived_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (event_row_id, automation_uid)
);
CREATE INDEX event_outcomes_timer ON event_outcomes (timer_id, arrived_at, event_row_id) WHERE timer_id IS NOT NULL;
CREATE INDEX event_outcomes_run ON event_outcomes (run_id) WHERE run_id IS NOT NULL;

-- Why an event was rejected.
ALTER TABLE events ADD COLUMN reason TEXT;

-- Schedule slots that started a run, kept longer than the runs: no nominal instant ever fires twice.
CREATE TABLE schedule_fires (
  automation_uid TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  nominal_at BIGINT NOT NULL,
  run_id TEXT NOT NULL,
  PRIMARY KEY (automation_uid, trigger_id, nominal_at)
);

-- Failed runs in a row of a schedule with `pauseOnFailure`, counted in the order in which they were started.
CREATE TABLE schedule_failures (
  automation_uid TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  generation BIGINT NOT NULL,
  failures BIGINT NOT NULL,
  counted_run_id TEXT NOT NULL,
  paused_at BIGINT,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (automation_uid, trigger_id)
);
CREATE INDEX runs_of_schedule ON runs (automation_uid, schedule_trigger_id, id) WHERE schedule_trigger_id IS NOT NULL;

-- Starts that named an idempotency key.
CREATE TABLE start_requests (
  automation_uid TEXT NOT NULL,
  key TEXT NOT NULL,
  body_digest TEXT NOT NULL,
  answer_json TEXT NOT NULL,
  requested_at BIGINT NOT NULL,
  PRIMARY KEY (automation_uid, key)
);
