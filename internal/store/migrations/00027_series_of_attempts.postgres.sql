-- +goose Up
-- As on SQLite.
ALTER TABLE series ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE series ADD COLUMN until INTEGER NOT NULL DEFAULT 9223372036854775807;
ALTER TABLE series ALTER COLUMN attempt DROP DEFAULT;
ALTER TABLE series ALTER COLUMN until DROP DEFAULT;
ALTER TABLE series DROP CONSTRAINT series_run_id_metric_rank_key;
UPDATE series SET attempt = (SELECT coalesce(max(attempt), 1) FROM
    (SELECT max(attempt) AS attempt FROM points WHERE points.series = series.id UNION ALL SELECT max(attempt) FROM point_chunks WHERE point_chunks.series = series.id) AS newest)
    WHERE rank >= 0;
UPDATE series SET run_id = '', metric = run_id || '/' || metric WHERE rank < 0 AND EXISTS (SELECT 1 FROM series AS s
    WHERE s.run_id = series.run_id AND s.metric = series.metric AND s.rank = (-series.rank - 1) % 1048576 AND s.attempt = (-series.rank - 1) / 1048576);
UPDATE series SET rank = (-rank - 1) % 1048576, attempt = (-rank - 1) / 1048576, until = -9223372036854775807 WHERE rank < 0 AND run_id <> '';
ALTER TABLE series ADD CONSTRAINT series_of_attempts UNIQUE (run_id, metric, rank, attempt);
