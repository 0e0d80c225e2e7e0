-- The release that a file is part of: its first folder, where that reads as a version. NULL for what is in none.
-- Only the program can tell, so rows that are here already are filled in when the catalog is opened.
-- As the folder is named.
ALTER TABLE version ADD COLUMN release TEXT COLLATE "C";
-- Sorts bytewise as the version does, and of equal versions as the name.
ALTER TABLE version ADD COLUMN release_key TEXT COLLATE "C";
ALTER TABLE version ADD COLUMN prerelease BOOLEAN;
CREATE INDEX version_by_release ON version (repository, state, prerelease, release_key) WHERE release_key IS NOT NULL;

INSERT INTO job (kind, body, run_after, lease_until, attempts)
    SELECT 'releases.fill', '{}', 0, 0, 0 WHERE EXISTS (SELECT 1 FROM version);
