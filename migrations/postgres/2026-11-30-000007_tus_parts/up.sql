-- Uploads by tus whose length is told later, and those that are parts of one file.
-- How many bytes it will have is NULL until the client says so.
ALTER TABLE tus_upload ALTER COLUMN length DROP NOT NULL;
ALTER TABLE tus_upload
    -- Upload-Concat, as the client sent it: that this is a part, or which parts it is made of.
    ADD COLUMN concat TEXT COLLATE "C",
    -- Of a part, the upload that it is joined into, and its place there.
    ADD COLUMN part_of TEXT COLLATE "C" REFERENCES tus_upload (id) ON DELETE SET NULL,
    ADD COLUMN place BIGINT,
    -- The blob that its bytes have become. The file may still be missing.
    ADD COLUMN digest TEXT COLLATE "C";
CREATE INDEX tus_upload_by_whole ON tus_upload (part_of, place) WHERE part_of IS NOT NULL;
