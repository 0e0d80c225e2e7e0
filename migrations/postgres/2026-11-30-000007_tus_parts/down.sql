-- Nobody before knew what to do with a part, or with a length that is told later.
DELETE FROM tus_upload WHERE length IS NULL OR (concat IS NOT NULL AND NOT done);
ALTER TABLE tus_upload ALTER COLUMN length SET NOT NULL;
ALTER TABLE tus_upload DROP COLUMN concat, DROP COLUMN part_of, DROP COLUMN place, DROP COLUMN digest;
