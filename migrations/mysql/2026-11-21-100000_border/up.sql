-- How the border of the set is drawn. Older pictures have none.
ALTER TABLE fractals ADD COLUMN border VARCHAR(16) NOT NULL DEFAULT 'none';
