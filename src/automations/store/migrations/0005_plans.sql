-- What plans and rollbacks need to remember beside the definitions themselves.

-- The file that a generation came from, as it stood: where its lines are, and what `rollback` prints to commit.
CREATE TABLE generation_texts (
  uid TEXT NOT NULL,
  generation BIGINT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (uid, generation)
);

-- Plan files that were applied: each is good for one use.
CREATE TABLE applied_plans (
  digest TEXT PRIMARY KEY,
  applied_by TEXT NOT NULL,
  applied_at BIGINT NOT NULL,
  serial BIGINT NOT NULL
);

-- A rollback rejected what a source declares: the loop does not bring that digest back until the source moves on.
CREATE TABLE holds (
  automation_uid TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL,
  created_at BIGINT NOT NULL
);

-- Deletes, disables and removals of a last trigger, for the safety rule that counts over ten minutes.
CREATE TABLE destructions (
  owner TEXT NOT NULL,
  serial BIGINT NOT NULL,
  at BIGINT NOT NULL,
  count BIGINT NOT NULL,
  deletes BIGINT NOT NULL,
  PRIMARY KEY (owner, serial)
);
CREATE INDEX destructions_at ON destructions (at);

CREATE INDEX routes_automation ON routes (automation_id);
