-- Slots, stops and deadlines: what a run shares with others of its key, how it is ended early, and until when it may go on.

-- `slot_key` is the rendered concurrency key, `slot_limit` how many runs of it may go on at once (NULL: no slot is needed).
-- `slot` says how the run stands for one: waiting (it never began), returning (it began and wants its slot back), held, or
-- released (it gave its slot away while it waits for approval). `slot_turn` is its place in line, in order of commit.
ALTER TABLE runs ADD COLUMN slot_key TEXT;
ALTER TABLE runs ADD COLUMN slot_limit BIGINT;
ALTER TABLE runs ADD COLUMN slot TEXT;
ALTER TABLE runs ADD COLUMN slot_turn BIGINT;

-- Why a run ends early: the status it ends in (cancelled, timed_out, superseded, dropped), which of its steps are stopped
-- (main, finally, all), who asked and why. A run that is being stopped keeps its status until its last step is over.
ALTER TABLE runs ADD COLUMN stop TEXT;
ALTER TABLE runs ADD COLUMN stop_scope TEXT;
ALTER TABLE runs ADD COLUMN stop_by TEXT;
ALTER TABLE runs ADD COLUMN stop_reason TEXT;
ALTER TABLE runs ADD COLUMN stop_at BIGINT;

-- Until when the main steps may go on, and since `finally_at` the `finally` steps. While waiting does not count there is no
-- instant, only what was left (`deadline_left`, microseconds).
ALTER TABLE runs ADD COLUMN deadline_at BIGINT;
ALTER TABLE runs ADD COLUMN deadline_left BIGINT;
ALTER TABLE runs ADD COLUMN finally_at BIGINT;

CREATE INDEX runs_slots ON runs (automation_uid, slot_key, slot, slot_turn) WHERE slot IS NOT NULL;
CREATE INDEX runs_deadline ON runs (deadline_at) WHERE deadline_at IS NOT NULL;

-- How long one attempt and all attempts together may take (microseconds from a claim, from the first claim), and until when.
ALTER TABLE actions ADD COLUMN attempt_limit BIGINT;
ALTER TABLE actions ADD COLUMN step_limit BIGINT;
ALTER TABLE actions ADD COLUMN attempt_deadline_at BIGINT;
ALTER TABLE actions ADD COLUMN step_deadline_at BIGINT;

-- Who asked to stop the action and why; since when its holder is asked, while it is claimed.
ALTER TABLE actions ADD COLUMN cancel_requested_at BIGINT;
ALTER TABLE actions ADD COLUMN cancel_by TEXT;
ALTER TABLE actions ADD COLUMN cancel_reason TEXT;

CREATE INDEX actions_attempt_deadline ON actions (attempt_deadline_at) WHERE attempt_deadline_at IS NOT NULL;
CREATE INDEX actions_step_deadline ON actions (step_deadline_at) WHERE step_deadline_at IS NOT NULL AND completed_at IS NULL;
CREATE INDEX actions_stopping ON actions (claimed_by) WHERE status = 'claimed' AND cancel_requested_at IS NOT NULL;
