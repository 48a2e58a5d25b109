-- +goose Up
-- Runs whose run_metrics may be behind their points.
CREATE TABLE stale_metrics (
    run_id TEXT PRIMARY KEY
) STRICT;
INSERT INTO stale_metrics (run_id) SELECT DISTINCT run_id FROM series WHERE run_id <> '';
