-- +goose Up
-- A label knows what its run is filtered and sorted by, so that those with a tag are found without their rows.
CREATE TABLE run_labels_new (
    kind     TEXT NOT NULL,               -- tag, as in options; node, the name of one that a worker was placed on
    label    TEXT NOT NULL,
    run_id   TEXT NOT NULL,
    archived INTEGER NOT NULL,            -- this and what follows is as in runs
    state    TEXT NOT NULL,
    sweep    TEXT NOT NULL,
    project  TEXT NOT NULL,
    owner    TEXT NOT NULL,
    preset   TEXT NOT NULL,
    name     TEXT NOT NULL                -- as runs_by_name has it
);
INSERT INTO run_labels_new (kind, label, run_id, archived, state, sweep, project, owner, preset, name)
    SELECT kind, label, run_id, archived, state, sweep, project, owner, preset, substr(lower(name), 1, 100) FROM run_labels JOIN runs ON id = run_id;
DROP TABLE run_labels;
ALTER TABLE run_labels_new RENAME TO run_labels;
ALTER TABLE run_labels ADD PRIMARY KEY (kind, label, run_id) INCLUDE (archived, state, sweep, project, owner, preset, name);
CREATE INDEX run_labels_by_run ON run_labels (run_id);
