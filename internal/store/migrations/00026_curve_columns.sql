-- +goose Up
-- What views at any zoom need of curve_blocks so that they need not read them: a column of each block. points.FillColumns derives
-- those of blocks that are there.
CREATE TABLE curve_columns (
    run_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    block  INTEGER NOT NULL,              -- of curve_blocks, divided by points.groupBlocks
    data   BLOB NOT NULL,                 -- see series.EncodeColumns
    PRIMARY KEY (run_id, metric, block)
) STRICT;
