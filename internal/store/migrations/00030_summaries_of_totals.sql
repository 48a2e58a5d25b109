-- +goose Up
-- Summaries of rates are of their sum over workers now, no longer of their mean: those that there are follow in the background.
INSERT INTO stale_metrics (run_id) SELECT DISTINCT run_id FROM run_metrics WHERE metric IN ('tokens_per_second', 'samples_per_second', 'outer_tokens_per_second')
    OR metric LIKE '%/tokens_per_second' OR metric LIKE '%/samples_per_second' OR metric LIKE '%/outer_tokens_per_second' ON CONFLICT (run_id) DO NOTHING;
