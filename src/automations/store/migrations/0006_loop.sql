-- What the loop remembers between its rounds: what is gone from the files, and what people laid over them.

-- What a source no longer declares: since when, and in how many trusted snapshots in a row it was missing.
CREATE TABLE absences (
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  snapshots BIGINT NOT NULL,
  PRIMARY KEY (source, id)
);

-- A pause by hand, laid over what the files say until it ends. `subject` is an automation's uid or `source:<name>`.
CREATE TABLE suspensions (
  subject TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  reason TEXT NOT NULL,
  since BIGINT NOT NULL,
  until_at BIGINT
);

-- How a source is to be treated, as its daemon was told; how many trees were attempted, and which of them was gone through last.
ALTER TABLE sources ADD COLUMN policy_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE sources ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN observed_generation BIGINT NOT NULL DEFAULT 0;

-- The generation that the loop last found bound as its file says.
ALTER TABLE automations ADD COLUMN observed_generation BIGINT NOT NULL DEFAULT 0;
