-- Whether a file of the project keeps its content for as long as it is there, whoever stores other content at its path.
ALTER TABLE project ADD COLUMN immutable_files BOOLEAN NOT NULL DEFAULT FALSE;
