-- Times are milliseconds since 1970 UTC, JSON is text, names and digests sort bytewise.

CREATE TABLE project (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    public BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE repository (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project BIGINT NOT NULL REFERENCES project (id),
    full_name TEXT NOT NULL UNIQUE,
    format TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX repository_by_project ON repository (project);

-- Bytes that exist. storage_key is the blob store's business.
CREATE TABLE blob (
    digest TEXT PRIMARY KEY NOT NULL,
    size BIGINT NOT NULL,
    storage_key TEXT NOT NULL,
    -- CRC-32 of each piece of 256 KiB, four bytes each, little end first.
    checksums BLOB NOT NULL,
    state TEXT NOT NULL,
    last_touch BIGINT NOT NULL,
    sha1 TEXT,
    md5 TEXT,
    sha512 TEXT
) WITHOUT ROWID;

-- What makes a blob visible in a repository.
CREATE TABLE repository_blob (
    repository BIGINT NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL REFERENCES blob (digest),
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE INDEX repository_blob_by_digest ON repository_blob (digest);

CREATE TABLE manifest (
    digest TEXT PRIMARY KEY NOT NULL,
    bytes BLOB NOT NULL
);

CREATE TABLE artifact (
    repository BIGINT NOT NULL REFERENCES repository (id),
    digest TEXT NOT NULL,
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    artifact_type TEXT,
    subject TEXT,
    size BIGINT NOT NULL,
    total_size BIGINT NOT NULL,
    labels TEXT NOT NULL,
    descriptor TEXT,
    pushed_at BIGINT NOT NULL,
    pushed_by TEXT NOT NULL,
    state TEXT NOT NULL,
    trashed_at BIGINT,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX artifact_by_subject ON artifact (repository, subject, digest) WHERE subject IS NOT NULL;

CREATE TABLE edge (
    repository BIGINT NOT NULL,
    parent TEXT NOT NULL,
    child TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Whether the child had to be here when the manifest came.
    required BOOLEAN NOT NULL,
    PRIMARY KEY (repository, parent, child, role),
    FOREIGN KEY (repository, parent) REFERENCES artifact (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX edge_by_child ON edge (child, repository);

CREATE TABLE version (
    repository BIGINT NOT NULL REFERENCES repository (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (repository, name)
) WITHOUT ROWID;
CREATE INDEX version_by_digest ON version (repository, digest);

CREATE TABLE version_history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    repository BIGINT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT,
    at BIGINT NOT NULL,
    principal TEXT NOT NULL
);
CREATE INDEX version_history_by_name ON version_history (repository, name, id);

CREATE TABLE upload (
    id TEXT PRIMARY KEY NOT NULL,
    repository BIGINT NOT NULL REFERENCES repository (id),
    principal TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    byte_offset BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX upload_by_expiry ON upload (expires_at);
CREATE INDEX upload_by_principal ON upload (principal);

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    principal TEXT NOT NULL,
    kind TEXT NOT NULL,
    repository BIGINT,
    body TEXT NOT NULL
);

CREATE TABLE follower_cursor (
    follower TEXT PRIMARY KEY NOT NULL,
    seq BIGINT NOT NULL
);

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    run_after BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    attempts BIGINT NOT NULL
);
CREATE INDEX job_by_time ON job (run_after);

CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    admin BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    generation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE project_member (
    project BIGINT NOT NULL REFERENCES project (id),
    account BIGINT NOT NULL REFERENCES account (id),
    role TEXT NOT NULL,
    PRIMARY KEY (project, account)
) WITHOUT ROWID;
CREATE INDEX project_member_by_account ON project_member (account);

CREATE TABLE signing_key (
    id TEXT PRIMARY KEY NOT NULL,
    pkcs8 BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE refresh_token (
    hash TEXT PRIMARY KEY NOT NULL,
    account BIGINT NOT NULL REFERENCES account (id),
    generation BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX refresh_token_by_account ON refresh_token (account);
