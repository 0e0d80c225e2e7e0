-- Which live versions point at some content. With their state in it, the index is what a database takes that has no
-- statistics: without it SQLite read all versions of the repository.
CREATE INDEX version_by_content ON version (repository, digest, state);
DROP INDEX version_by_digest;
