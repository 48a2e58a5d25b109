-- +goose Up
ALTER TABLE runs ADD COLUMN options        TEXT    NOT NULL DEFAULT '{}'; -- JSON of run.Options
ALTER TABLE runs ADD COLUMN origin         TEXT    NOT NULL DEFAULT '{}'; -- JSON of run.Origin
ALTER TABLE runs ADD COLUMN sweep          TEXT    NOT NULL DEFAULT '';   -- the sweep that it is part of, as in origin
ALTER TABLE runs ADD COLUMN priority       INTEGER NOT NULL DEFAULT 50;   -- what counts, as in options or else the default
ALTER TABLE runs ADD COLUMN words          TEXT    NOT NULL DEFAULT '';   -- description and tags, to be searched
ALTER TABLE runs ADD COLUMN ckpt_path      TEXT    NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN retried        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN port_conflicts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN not_before     INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_sweep ON runs (sweep, id) WHERE sweep <> '';
CREATE INDEX runs_by_sweep_state ON runs (sweep, state) WHERE sweep <> '';

ALTER TABLE attempts ADD COLUMN resume TEXT NOT NULL DEFAULT '';          -- checkpoint folder that it continues from

-- Which worker has said to have saved which step; the newest steps of each.
CREATE TABLE checkpoints (
    run_id  TEXT NOT NULL,
    rank    INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    path    TEXT NOT NULL,                -- as printed
    PRIMARY KEY (run_id, rank, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE templates (
    key         TEXT NOT NULL,            -- the name in lower case
    version     INTEGER NOT NULL,         -- from 1
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    config      TEXT NOT NULL,            -- CotrainCore TOML
    shape       TEXT NOT NULL,            -- JSON of run.Shape
    options     TEXT NOT NULL,            -- JSON of run.Options
    note        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (key, version)
) STRICT;

CREATE TABLE sweeps (
    id         TEXT PRIMARY KEY,          -- sorts by time of creation
    name       TEXT NOT NULL,
    spec       TEXT NOT NULL,             -- JSON of run.SweepSpec
    fields     TEXT NOT NULL,             -- JSON list of the varied fields
    parallel   INTEGER NOT NULL,          -- most runs that are live at one time, 0 for no limit
    stopped    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    submit_key TEXT UNIQUE                -- idempotency key of the submission
) STRICT;
