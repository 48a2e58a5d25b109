-- +goose Up
-- Most points: those of points are only the newest of each series, and late ones. A point of a later attempt wins over an
-- earlier one's of the same series and step, then an exact one over a printed one, then one in points over one in a chunk,
-- then that of the greater id. Steps above store.MaxStep, which are times, share no chunk with those below.
CREATE TABLE point_chunks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- grows
    series     INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    exact      INTEGER NOT NULL,
    first_step INTEGER NOT NULL,
    last_step  INTEGER NOT NULL,
    count      INTEGER NOT NULL,          -- of the points in data that count: fewer than it holds once a run was rewound
    nans       INTEGER NOT NULL,          -- how many of them are NaN
    low        REAL,                      -- these three over the others: NULL is NaN
    high       REAL,
    sum        REAL,
    first_at   INTEGER NOT NULL,          -- the earliest and the latest
    last_at    INTEGER NOT NULL,
    data       BLOB NOT NULL              -- see series.EncodeChunk
) STRICT;
CREATE INDEX point_chunks_by_first ON point_chunks (series, first_step, last_step);
CREATE INDEX point_chunks_by_last ON point_chunks (series, last_step, first_step);
