-- +goose Up
-- Grows with every change of the row: of two states of a run, the greater is the newer.
ALTER TABLE runs ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;

-- The lowest step that each further attempt has reported. What earlier attempts reported from there on is gone.
CREATE TABLE repeats (
    run_id    TEXT NOT NULL,
    attempt   INTEGER NOT NULL,
    from_step INTEGER NOT NULL,
    PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

ALTER TABLE streams ADD COLUMN at INTEGER NOT NULL DEFAULT 0; -- when it was last stored

-- What a check writes to see whether there is room.
CREATE TABLE write_checks (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
