CREATE INDEX version_by_digest ON version (repository, digest);
DROP INDEX version_by_content;
