-- The labels of versions, one row each, to be found by. `version.labels` says the same of one version, to be read with it.
CREATE TABLE label (
    repository BIGINT NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    -- Lower-case.
    key TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (repository, version, key),
    FOREIGN KEY (repository, version) REFERENCES version (repository, name) ON DELETE CASCADE
);
CREATE INDEX label_by_value ON label (key, value, repository);
