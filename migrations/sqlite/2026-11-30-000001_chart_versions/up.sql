-- Whether a published chart version may be replaced in the project, by who may overwrite and says that it is to be.
ALTER TABLE project ADD COLUMN mutable_versions BOOLEAN NOT NULL DEFAULT FALSE;

-- What is said of a chart's version besides what its archive says. It stays when the version is deleted.
CREATE TABLE chart_mark (
    repository BIGINT NOT NULL REFERENCES repository (id),
    -- The version as a tag.
    tag TEXT NOT NULL,
    -- Why the version is listed no more, empty where nobody said it; NULL where it is listed.
    yanked TEXT,
    deprecated BOOLEAN NOT NULL,
    PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
