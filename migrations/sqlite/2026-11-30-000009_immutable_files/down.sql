ALTER TABLE project DROP COLUMN immutable_files;
