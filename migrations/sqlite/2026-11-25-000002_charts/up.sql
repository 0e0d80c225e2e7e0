-- Charts: what a chart repository says of the manifests that hold one. Times are milliseconds since 1970 UTC.

-- A chart whose name is its repository's last segment. It is listed while the tag of its version points at its manifest.
CREATE TABLE chart (
    repository BIGINT NOT NULL,
    -- The manifest.
    digest TEXT NOT NULL,
    -- The repository's name without its last segment.
    prefix TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- The version as a tag can hold it.
    tag TEXT NOT NULL,
    -- The name of its file in the chart repository.
    file TEXT NOT NULL,
    -- The archive, and what vouches for it.
    content TEXT NOT NULL,
    content_size BIGINT NOT NULL,
    provenance TEXT,
    -- A JSON object: Chart.yaml, in the fields that clients know.
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (repository, digest),
    FOREIGN KEY (repository, digest) REFERENCES artifact (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX chart_by_file ON chart (prefix, file);

-- A manifest that says it holds a chart and is in no chart repository, and why.
CREATE TABLE chart_unlisted (
    repository BIGINT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (repository, digest),
    FOREIGN KEY (repository, digest) REFERENCES artifact (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;

-- One row for every change of what is listed under a prefix, numbered in the order of the commits of that prefix.
CREATE TABLE chart_event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix TEXT NOT NULL,
    repository BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX chart_event_by_prefix ON chart_event (prefix, seq);
