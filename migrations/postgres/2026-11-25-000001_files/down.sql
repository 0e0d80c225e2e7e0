ALTER TABLE version DROP COLUMN labels;
ALTER TABLE version DROP COLUMN media_type;
