-- What a project owns; what is older than projects is of the first. Who submitted a run; before there was a log-in, that was everybody.
ALTER TABLE runs ADD COLUMN project TEXT NOT NULL DEFAULT 'default';
ALTER TABLE runs ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';
ALTER TABLE sweeps ADD COLUMN project TEXT NOT NULL DEFAULT 'default';

-- Idempotency keys begin with the project: see store.keyIn.
UPDATE runs SET submit_key = 'default/' || submit_key WHERE submit_key IS NOT NULL;
UPDATE sweeps SET submit_key = 'default/' || submit_key WHERE submit_key IS NOT NULL;

-- The list of runs is filtered in these, without its rows.
DROP INDEX runs_list;
CREATE INDEX runs_list ON runs (id, state, sweep, project, owner);
CREATE INDEX runs_by_project ON runs (project, id, sweep);
CREATE INDEX runs_by_project_state ON runs (project, state, id, sweep);
CREATE INDEX runs_by_owner ON runs (owner, id, state, sweep, project);
CREATE INDEX sweeps_by_project ON sweeps (project, id);

CREATE TABLE project_templates (
    project     TEXT NOT NULL,
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
    PRIMARY KEY (project, key, version)
) STRICT;
INSERT INTO project_templates SELECT 'default', key, version, name, description, config, shape, options, note, actor, created_at FROM templates;
DROP TABLE templates;
ALTER TABLE project_templates RENAME TO templates;
