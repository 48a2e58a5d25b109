-- +goose Up
-- What lists and choices say of each metric without reading its points, over all workers, as of the last roll-up.
CREATE TABLE run_metrics (
    run_id     TEXT NOT NULL,
    metric     TEXT NOT NULL,
    points     INTEGER NOT NULL,          -- steps with a value
    workers    INTEGER NOT NULL,
    first_step INTEGER NOT NULL,          -- Unix milliseconds for metrics without steps
    last_step  INTEGER NOT NULL,
    last       REAL,                      -- mean over workers at last_step, NULL for NaN
    low        REAL,                      -- lowest mean that is finite, NULL for none
    low_step   INTEGER NOT NULL,
    high       REAL,
    high_step  INTEGER NOT NULL,
    shape      BLOB,                      -- a small curve for lists, NULL where no list shows one
    PRIMARY KEY (run_id, metric)
) STRICT;
