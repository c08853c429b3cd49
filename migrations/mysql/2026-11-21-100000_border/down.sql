ALTER TABLE fractals DROP COLUMN border;
