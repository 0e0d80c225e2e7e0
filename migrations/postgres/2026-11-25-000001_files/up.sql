-- What can differ between two paths with equal bytes belongs to the path, not to the artifact.
-- The media type that the client named, if any.
ALTER TABLE version ADD COLUMN media_type TEXT COLLATE "C";
-- A JSON object of strings.
ALTER TABLE version ADD COLUMN labels TEXT COLLATE "C" NOT NULL DEFAULT '{}';
