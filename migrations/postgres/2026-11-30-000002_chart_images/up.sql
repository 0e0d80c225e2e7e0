-- What charts say about themselves, and what a chart repository says of who publishes it.

-- An image that a chart says it runs, in the order of the chart. A statement: it holds nothing alive, and what it names
-- may be elsewhere, may not exist, and may come later.
CREATE TABLE chart_image (
    repository BIGINT NOT NULL,
    -- The chart's manifest.
    digest TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    -- What the chart calls it; empty when it has no name for it.
    name TEXT COLLATE "C" NOT NULL,
    -- The reference as the chart has it, and its parts where it can be read.
    image TEXT COLLATE "C" NOT NULL,
    registry TEXT COLLATE "C",
    path TEXT COLLATE "C",
    tag TEXT COLLATE "C",
    image_digest TEXT COLLATE "C",
    PRIMARY KEY (repository, digest, position),
    FOREIGN KEY (repository, digest) REFERENCES artifact (repository, digest) ON DELETE CASCADE
);

-- The artifacthub-repo.yml of a chart repository: who publishes what lies under the prefix.
CREATE TABLE chart_publisher (
    prefix TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    project BIGINT NOT NULL REFERENCES project (id) ON DELETE CASCADE,
    -- The file, verbatim.
    content BYTEA NOT NULL,
    -- Milliseconds since 1970 UTC.
    updated_at BIGINT NOT NULL,
    updated_by TEXT COLLATE "C" NOT NULL
);
