-- Work belongs to an automation's uid, which a rename keeps and a new automation of the old id does not have.
DROP INDEX runs_automation;
DROP INDEX runs_live;
CREATE INDEX runs_automation ON runs (automation_uid, id);
CREATE INDEX runs_live ON runs (automation_uid, status) WHERE completed_at IS NULL;

-- Paths that a route had before it got another: they answer 410 for as long as those of deleted routes.
CREATE TABLE left_paths (
  path TEXT PRIMARY KEY,
  route_id TEXT NOT NULL,
  left_at BIGINT NOT NULL
);
CREATE INDEX left_paths_left ON left_paths (left_at);

-- Routes made by hand stayed behind when their automation was deleted, and took events for nobody.
UPDATE routes SET deleted_at = (SELECT a.deleted_at FROM automations a WHERE a.id = routes.automation_id)
  WHERE deleted_at IS NULL AND automation_id IN (SELECT id FROM automations WHERE deleted_at IS NOT NULL);
