DROP TABLE fractals;
