-- Signed bodies that came again under another delivery id: which events guard against it, and how often it happened.
ALTER TABLE events ADD COLUMN guarded INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN replays BIGINT NOT NULL DEFAULT 0;
CREATE INDEX events_guarded ON events (scope, body_digest) WHERE guarded = 1;
