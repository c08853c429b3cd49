-- One row a task. Times are UTC with microseconds. The uuid is not CHAR(36): compared with text, that would not use the index.
-- turn: where in the palette the colours begin; OFFSET is a word of SQL.
-- zeros: bit n is set where number n of xa xb ya yb cx cy is -0, which not every database keeps apart from 0.
CREATE TABLE fractals (
    uuid           VARCHAR(36) COLLATE "C" NOT NULL PRIMARY KEY,
    checksum       VARCHAR(256),
    duration       DOUBLE PRECISION,
    width          INTEGER NOT NULL,
    height         INTEGER NOT NULL,
    iterations     INTEGER NOT NULL,
    xa             DOUBLE PRECISION NOT NULL,
    xb             DOUBLE PRECISION NOT NULL,
    ya             DOUBLE PRECISION NOT NULL,
    yb             DOUBLE PRECISION NOT NULL,
    name           VARCHAR(255),
    formula        VARCHAR(32) NOT NULL,
    cx             DOUBLE PRECISION,
    cy             DOUBLE PRECISION,
    zeros          INTEGER NOT NULL,
    palette        VARCHAR(32) NOT NULL,
    turn           DOUBLE PRECISION NOT NULL,
    density        DOUBLE PRECISION NOT NULL,
    samples        INTEGER NOT NULL,
    state          VARCHAR(16) COLLATE "C" NOT NULL,
    reason         TEXT,
    pixel_checksum VARCHAR(256),
    size           BIGINT,
    worker         VARCHAR(255),
    attempt        INTEGER NOT NULL,
    publishes      INTEGER NOT NULL,
    created_at     TIMESTAMP(6) NOT NULL,
    published_at   TIMESTAMP(6),
    started_at     TIMESTAMP(6),
    finished_at    TIMESTAMP(6),
    due_at         TIMESTAMP(6) NOT NULL
);
CREATE INDEX fractals_due ON fractals (state, due_at);
CREATE INDEX fractals_created ON fractals (created_at);
