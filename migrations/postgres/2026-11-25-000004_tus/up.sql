-- What an upload by tus is to become: a session's row holds only its bytes. It outlives the session, so that a client
-- that did not hear the last answer is told that all is done. Times are milliseconds since 1970 UTC.
CREATE TABLE tus_upload (
    id TEXT COLLATE "C" PRIMARY KEY NOT NULL,
    repository BIGINT NOT NULL REFERENCES repository (id),
    principal TEXT COLLATE "C" NOT NULL,
    -- How many bytes it will have.
    length BIGINT NOT NULL,
    -- Upload-Metadata, as the client sent it.
    metadata TEXT COLLATE "C" NOT NULL,
    -- Whether the file is stored.
    done BOOLEAN NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tus_upload_by_expiry ON tus_upload (expires_at);
