-- Approvals with roles and deadlines, fair turns in the queue, replays of whole runs, run ends in the audit chain.

-- Who may decide as what. An approver's roles are looked up here, never taken from what a caller says of itself.
CREATE TABLE roles (
  actor TEXT NOT NULL,
  role TEXT NOT NULL,
  granted_by TEXT NOT NULL,
  granted_at BIGINT NOT NULL,
  PRIMARY KEY (actor, role)
);

-- When an open question lapses; NULL where it stays open.
ALTER TABLE actions ADD COLUMN approval_expires_at BIGINT;
CREATE INDEX actions_expiring ON actions (approval_expires_at)
  WHERE status = 'waiting_approval' AND approval_expires_at IS NOT NULL;
CREATE INDEX actions_waiting ON actions (updated_at, id) WHERE status = 'waiting_approval';

-- An action's place in the queue among those of its priority. Each automation takes every turn once, so that a long queue of
-- one leaves room for the others. Without a turn it is not ready: it waits for its time, and takes a turn when that has come.
ALTER TABLE actions ADD COLUMN turn BIGINT;
DROP INDEX actions_claimable;
DROP INDEX actions_claimable_here;
DROP INDEX actions_dead;
CREATE INDEX actions_ready ON actions (priority DESC, turn, available_at, id)
  WHERE status IN ('queued', 'retrying') AND turn IS NOT NULL;
CREATE INDEX actions_ready_kind ON actions (executor, priority DESC, turn, available_at, id)
  WHERE status IN ('queued', 'retrying') AND turn IS NOT NULL;
CREATE INDEX actions_ready_action ON actions (action_id, priority DESC, turn, available_at, id)
  WHERE status IN ('queued', 'retrying') AND turn IS NOT NULL;
CREATE INDEX actions_turns ON actions (automation_id, priority, turn)
  WHERE status IN ('queued', 'retrying') AND turn IS NOT NULL;
CREATE INDEX actions_delayed ON actions (available_at)
  WHERE status IN ('queued', 'retrying') AND turn IS NULL;
CREATE INDEX actions_letters ON actions (updated_at, id) WHERE status IN ('dead', 'rejected');

-- What a replay made and how: a run of its own, from which step, on which generation, together with which others.
ALTER TABLE replay_requests ADD COLUMN made_run_id TEXT;
ALTER TABLE replay_requests ADD COLUMN from_step TEXT;
ALTER TABLE replay_requests ADD COLUMN generation BIGINT;
ALTER TABLE replay_requests ADD COLUMN batch_id TEXT;
CREATE INDEX replay_requests_run ON replay_requests (run_id, requested_at);

-- Entries written in the commit of what they tell about, and sealed into the chain soon after, so that runs do not queue up to
-- end.
CREATE TABLE audit_unsealed (
  id TEXT PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail_json TEXT NOT NULL
);
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_action ON audit (action, seq);
