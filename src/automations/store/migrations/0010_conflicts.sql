-- Events that came again under the same identity with another body: how often, and when it was the last time (microseconds).
ALTER TABLE events ADD COLUMN conflicts BIGINT NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN conflict_at BIGINT;
