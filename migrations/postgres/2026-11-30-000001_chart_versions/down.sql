DROP TABLE chart_mark;
ALTER TABLE project DROP COLUMN mutable_versions;
