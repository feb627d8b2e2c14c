-- The whole schema. One text for SQLite and PostgreSQL: TEXT, BIGINT microseconds UTC, JSON as TEXT.

-- One row: which store this is, and how often its definitions changed. `serial` rises with definitions only, not with runs.
CREATE TABLE state (
  id BIGINT PRIMARY KEY CHECK (id = 1),
  lineage TEXT NOT NULL,
  serial BIGINT NOT NULL,
  created_at BIGINT NOT NULL
);

-- A directory of specs that this store is reconciled with.
CREATE TABLE sources (
  name TEXT PRIMARY KEY,
  root TEXT NOT NULL,
  revision TEXT,
  last_applied_digest TEXT,
  last_applied_revision TEXT,
  last_attempted_digest TEXT,
  last_attempted_revision TEXT,
  conditions_json TEXT NOT NULL,
  synced_at BIGINT,
  updated_at BIGINT NOT NULL
);

-- One row an automation, for ever: deleting is soft, and the id coming back finds its uid again.
CREATE TABLE automations (
  uid TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  status TEXT NOT NULL,
  generation BIGINT NOT NULL,
  digest TEXT NOT NULL,
  file TEXT,
  conditions_json TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);

-- Every spec that was ever bound. Runs are pinned to one of these.
CREATE TABLE generations (
  uid TEXT NOT NULL,
  generation BIGINT NOT NULL,
  digest TEXT NOT NULL,
  spec_json TEXT NOT NULL,
  file TEXT,
  revision TEXT,
  applied_by TEXT NOT NULL,
  applied_at BIGINT NOT NULL,
  PRIMARY KEY (uid, generation)
);

CREATE TABLE manifests (
  action_id TEXT NOT NULL,
  version TEXT NOT NULL,
  owner TEXT NOT NULL,
  digest TEXT NOT NULL,
  file TEXT,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT,
  PRIMARY KEY (action_id, version)
);

-- Manifest texts by digest: a run keeps the digests it started with.
CREATE TABLE manifest_bodies (
  digest TEXT PRIMARY KEY,
  manifest_json TEXT NOT NULL
);

CREATE TABLE routes (
  id TEXT PRIMARY KEY,
  automation_id TEXT NOT NULL,
  trigger_id TEXT,
  path TEXT NOT NULL,
  status TEXT NOT NULL,
  owner TEXT NOT NULL,
  signature_json TEXT,
  mapping_json TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE UNIQUE INDEX routes_path ON routes (path) WHERE deleted_at IS NULL;

-- Envelopes as mapped; raw bodies and headers are never stored. Identity is per route or source (`scope`).
CREATE TABLE events (
  id TEXT PRIMARY KEY,
  scope TEXT NOT NULL,
  identity TEXT NOT NULL,
  event_id TEXT NOT NULL,
  source TEXT NOT NULL,
  type TEXT NOT NULL,
  envelope_json TEXT NOT NULL,
  body_digest TEXT NOT NULL,
  outcome TEXT NOT NULL,
  materialized_json TEXT NOT NULL,
  received_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX events_identity ON events (scope, identity);
CREATE INDEX events_received ON events (received_at);

CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  automation_uid TEXT NOT NULL,
  automation_id TEXT NOT NULL,
  generation BIGINT NOT NULL,
  digest TEXT NOT NULL,
  manifests_json TEXT NOT NULL,
  status TEXT NOT NULL,
  trigger_json TEXT NOT NULL,
  event_row_id TEXT,
  trigger_event_id TEXT,
  schedule_trigger_id TEXT,
  idempotency_key TEXT NOT NULL,
  inputs_json TEXT,
  error_json TEXT,
  metadata_json TEXT,
  replay_of TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  started_at BIGINT,
  completed_at BIGINT
);
CREATE INDEX runs_automation ON runs (automation_id, id);
CREATE INDEX runs_live ON runs (automation_id, status) WHERE completed_at IS NULL;

-- One row a step of a run. A claim looks only at the partial index of claimable rows.
CREATE TABLE actions (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  automation_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  position BIGINT NOT NULL,
  action_id TEXT NOT NULL,
  manifest_version TEXT NOT NULL,
  manifest_digest TEXT,
  executor TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  status TEXT NOT NULL,
  priority BIGINT NOT NULL,
  input_json TEXT,
  input_digest TEXT,
  attempt BIGINT NOT NULL,
  max_attempts BIGINT NOT NULL,
  crashes BIGINT NOT NULL,
  fence BIGINT NOT NULL,
  available_at BIGINT NOT NULL,
  claimed_by TEXT,
  claimed_at BIGINT,
  lease_expires_at BIGINT,
  result_json TEXT,
  error_json TEXT,
  dead_letter_json TEXT,
  approval_json TEXT,
  metadata_json TEXT NOT NULL,
  reason TEXT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  completed_at BIGINT
);
CREATE UNIQUE INDEX actions_step ON actions (run_id, step_id);
CREATE INDEX actions_claimable ON actions (priority DESC, available_at, id) WHERE status IN ('queued', 'retrying');
CREATE INDEX actions_claimable_here ON actions (priority DESC, available_at, id)
  WHERE status IN ('queued', 'retrying') AND executor <> 'external';
CREATE INDEX actions_leased ON actions (lease_expires_at) WHERE status = 'claimed';
CREATE INDEX actions_dead ON actions (updated_at) WHERE status = 'dead';

-- Attempts that ended; the latest one stands in the action's own row until it does.
CREATE TABLE attempts (
  action_row_id TEXT NOT NULL,
  fence BIGINT NOT NULL,
  attempt BIGINT NOT NULL,
  runner TEXT NOT NULL,
  started_at BIGINT NOT NULL,
  ended_at BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  error_json TEXT,
  PRIMARY KEY (action_row_id, fence)
);

CREATE TABLE replay_requests (
  id TEXT PRIMARY KEY,
  run_id TEXT NOT NULL,
  action_row_id TEXT,
  mode TEXT NOT NULL,
  reason TEXT,
  requested_by TEXT NOT NULL,
  requested_at BIGINT NOT NULL
);

-- How far each schedule was judged. A slot fires when its cursor passes it, in the same commit.
CREATE TABLE schedules (
  automation_uid TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  digest TEXT NOT NULL,
  cursor_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (automation_uid, trigger_id)
);

-- Slots that did not fire, and why.
CREATE TABLE schedule_skips (
  automation_uid TEXT NOT NULL,
  trigger_id TEXT NOT NULL,
  nominal_at BIGINT NOT NULL,
  reason TEXT NOT NULL,
  recorded_at BIGINT NOT NULL,
  PRIMARY KEY (automation_uid, trigger_id, nominal_at)
);

-- Who may do a thing that only one may do. `epoch` rises with every new holder and is checked in the write it guards.
CREATE TABLE leases (
  name TEXT PRIMARY KEY,
  holder TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  acquired_at BIGINT NOT NULL,
  heartbeat_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  metadata_json TEXT NOT NULL
);

-- Append-only, sealed by a hash chain.
CREATE TABLE audit (
  seq BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail_json TEXT NOT NULL,
  previous TEXT NOT NULL,
  hash TEXT NOT NULL
);

-- What a file meant when it was last read: a warm plan parses only what changed.
CREATE TABLE readings (
  root TEXT NOT NULL,
  file TEXT NOT NULL,
  stamp TEXT NOT NULL,
  digest TEXT NOT NULL,
  document_json TEXT NOT NULL,
  PRIMARY KEY (root, file)
);
