-- One row a task. Times are UTC with microseconds; DATETIME, because TIMESTAMP ends in 2038.
-- One statement, since DDL cannot be rolled back here: it happens or it does not.
-- turn: where in the palette the colours begin; OFFSET is a word of SQL.
-- zeros: bit n is set where number n of xa xb ya yb cx cy is -0, which not every database keeps apart from 0.
CREATE TABLE fractals (
    uuid           CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
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
    state          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    reason         TEXT,
    pixel_checksum VARCHAR(256),
    size           BIGINT,
    worker         VARCHAR(255),
    attempt        INTEGER NOT NULL,
    publishes      INTEGER NOT NULL,
    created_at     DATETIME(6) NOT NULL,
    published_at   DATETIME(6),
    started_at     DATETIME(6),
    finished_at    DATETIME(6),
    due_at         DATETIME(6) NOT NULL,
    INDEX fractals_due (state, due_at),
    INDEX fractals_created (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
