-- What charts say about themselves, and what a chart repository says of who publishes it.

-- An image that a chart says it runs, in the order of the chart. A statement: it holds nothing alive, and what it names
-- may be elsewhere, may not exist, and may come later.
CREATE TABLE chart_image (
    repository BIGINT NOT NULL,
    -- The chart's manifest.
    digest TEXT NOT NULL,
    position BIGINT NOT NULL,
    -- What the chart calls it; empty when it has no name for it.
    name TEXT NOT NULL,
    -- The reference as the chart has it, and its parts where it can be read.
    image TEXT NOT NULL,
    registry TEXT,
    path TEXT,
    tag TEXT,
    image_digest TEXT,
    PRIMARY KEY (repository, digest, position),
    FOREIGN KEY (repository, digest) REFERENCES artifact (repository, digest) ON DELETE CASCADE
) WITHOUT ROWID;

-- The artifacthub-repo.yml of a chart repository: who publishes what lies under the prefix.
CREATE TABLE chart_publisher (
    prefix TEXT NOT NULL PRIMARY KEY,
    project BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    -- The file, verbatim.
    content BLOB NOT NULL,
    -- Milliseconds since 1970 UTC.
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL
) WITHOUT ROWID;
