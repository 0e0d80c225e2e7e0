DELETE FROM job WHERE kind = 'releases.fill';
DROP INDEX version_by_release;
ALTER TABLE version DROP COLUMN prerelease;
ALTER TABLE version DROP COLUMN release_key;
ALTER TABLE version DROP COLUMN release;
