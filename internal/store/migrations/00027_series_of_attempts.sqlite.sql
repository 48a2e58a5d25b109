-- +goose Up
-- A series is of one attempt: until is the first step that a later one repeats. Before, one held the newest points of all attempts, and
-- what was repeated was moved to others, whose rank was negative and told the attempt: those become series that are repeated whole.
CREATE TABLE series_of_attempts (
    id      INTEGER PRIMARY KEY,
    run_id  TEXT NOT NULL,                -- '' once its run is deleted, until its points are
    metric  TEXT NOT NULL,
    rank    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    until   INTEGER NOT NULL,             -- steps from here on are those of later attempts; 2^63 - 1 for none
    UNIQUE (run_id, metric, rank, attempt)
) STRICT;
INSERT INTO series_of_attempts SELECT id, run_id, metric, rank, (SELECT coalesce(max(attempt), 1) FROM
    (SELECT max(attempt) AS attempt FROM points WHERE points.series = series.id UNION ALL SELECT max(attempt) FROM point_chunks WHERE point_chunks.series = series.id) AS newest),
    9223372036854775807 FROM series WHERE rank >= 0;
INSERT INTO series_of_attempts SELECT id, run_id, metric, (-rank - 1) & 1048575, (-rank - 1) >> 20, -9223372036854775807 FROM series WHERE rank < 0
    ON CONFLICT (run_id, metric, rank, attempt) DO NOTHING;
INSERT INTO series_of_attempts SELECT id, '', run_id || '/' || metric, rank, 1, 0 FROM series WHERE id NOT IN (SELECT id FROM series_of_attempts);
DROP TABLE series;
ALTER TABLE series_of_attempts RENAME TO series;
