CREATE TABLE tus_upload_before (
    id TEXT PRIMARY KEY NOT NULL,
    repository BIGINT NOT NULL REFERENCES repository (id),
    principal TEXT NOT NULL,
    -- How many bytes it will have.
    length BIGINT NOT NULL,
    -- Upload-Metadata, as the client sent it.
    metadata TEXT NOT NULL,
    -- Whether the file is stored.
    done BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL
);
-- Nobody before knew what to do with a part, or with a length that is told later.
INSERT INTO tus_upload_before (id, repository, principal, length, metadata, done, expires_at)
SELECT id, repository, principal, length, metadata, done, expires_at FROM tus_upload
WHERE length IS NOT NULL AND (concat IS NULL OR done);
DROP TABLE tus_upload;
ALTER TABLE tus_upload_before RENAME TO tus_upload;
CREATE INDEX tus_upload_by_expiry ON tus_upload (expires_at);
