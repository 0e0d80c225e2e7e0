DROP TABLE tus_upload;
