-- +goose Up
-- What charts show of a metric: each step over all workers. Derived from points, and behind them by what is in unrolled.
CREATE TABLE curve_blocks (
    run_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    block  INTEGER NOT NULL,              -- the step divided by store.curveSteps
    data   BLOB NOT NULL,                 -- see series.EncodeCurve
    PRIMARY KEY (run_id, metric, block)
) STRICT, WITHOUT ROWID;

-- What there was before, a row for each step, is derived again.
INSERT INTO unrolled (run_id, taken, from_step, to_step)
    SELECT run_id, 0, min(step), max(step) FROM curves WHERE true GROUP BY run_id
    ON CONFLICT (run_id, taken) DO UPDATE SET from_step = min(from_step, excluded.from_step), to_step = max(to_step, excluded.to_step);
DROP TABLE curves;
