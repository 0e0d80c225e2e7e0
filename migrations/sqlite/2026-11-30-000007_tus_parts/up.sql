-- Uploads by tus whose length is told later, and those that are parts of one file. SQLite cannot let a column that may
-- not be empty become one that may, so the table is made anew.
CREATE TABLE tus_upload_anew (
    id TEXT PRIMARY KEY NOT NULL,
    repository BIGINT NOT NULL REFERENCES repository (id),
    principal TEXT NOT NULL,
    -- How many bytes it will have; NULL until the client says so.
    length BIGINT,
    -- Upload-Metadata, as the client sent it.
    metadata TEXT NOT NULL,
    -- Upload-Concat, as the client sent it: that this is a part, or which parts it is made of.
    concat TEXT,
    -- Of a part, the upload that it is joined into, and its place there.
    part_of TEXT REFERENCES tus_upload_anew (id) ON DELETE SET NULL,
    place BIGINT,
    -- The blob that its bytes have become. The file may still be missing.
    digest TEXT,
    -- Whether the file is stored; of a part, whether that which it was joined into is.
    done BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL
);
INSERT INTO tus_upload_anew (id, repository, principal, length, metadata, done, expires_at)
SELECT id, repository, principal, length, metadata, done, expires_at FROM tus_upload;
DROP TABLE tus_upload;
ALTER TABLE tus_upload_anew RENAME TO tus_upload;
CREATE INDEX tus_upload_by_expiry ON tus_upload (expires_at);
CREATE INDEX tus_upload_by_whole ON tus_upload (part_of, place) WHERE part_of IS NOT NULL;
