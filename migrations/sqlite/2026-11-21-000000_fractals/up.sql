-- One row a task. Times are UTC, such as 2026-11-21 04:30:00.123456; DOUBLE is REAL, binary64.
-- turn: where in the palette the colours begin; OFFSET is a word of SQL.
-- zeros: bit n is set where number n of xa xb ya yb cx cy is -0, which not every database keeps apart from 0.
CREATE TABLE fractals (
    uuid           CHAR(36) NOT NULL PRIMARY KEY,
    checksum       VARCHAR(256),
    duration       DOUBLE,
    width          INTEGER NOT NULL,
    height         INTEGER NOT NULL,
    iterations     INTEGER NOT NULL,
    xa             DOUBLE NOT NULL,
    xb             DOUBLE NOT NULL,
    ya             DOUBLE NOT NULL,
    yb             DOUBLE NOT NULL,
    name           VARCHAR(255),
    formula        VARCHAR(32) NOT NULL,
    cx             DOUBLE,
    cy             DOUBLE,
    zeros          INTEGER NOT NULL,
    palette        VARCHAR(32) NOT NULL,
    turn           DOUBLE NOT NULL,
    density        DOUBLE NOT NULL,
    samples        INTEGER NOT NULL,
    state          VARCHAR(16) NOT NULL,
    reason         TEXT,
    pixel_checksum VARCHAR(256),
    size           BIGINT,
    worker         VARCHAR(255),
    attempt        INTEGER NOT NULL,
    publishes      INTEGER NOT NULL,
    created_at     TIMESTAMP NOT NULL,
    published_at   TIMESTAMP,
    started_at     TIMESTAMP,
    finished_at    TIMESTAMP,
    due_at         TIMESTAMP NOT NULL
);
CREATE INDEX fractals_due ON fractals (state, due_at);
CREATE INDEX fractals_created ON fractals (created_at);
