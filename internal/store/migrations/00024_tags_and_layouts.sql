-- +goose Up
-- How a person has arranged a page, or a project by default.
CREATE TABLE layouts (
    project TEXT NOT NULL,                -- '' for a page with every project
    page    TEXT NOT NULL,                -- a run.LayoutPage
    owner   TEXT NOT NULL,                -- ID of the user, '' for the project's default
    data    TEXT NOT NULL,                -- JSON of the page
    PRIMARY KEY (project, page, owner)
) STRICT;
CREATE INDEX layouts_by_owner ON layouts (owner);

ALTER TABLE runs ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;

-- What runs are filtered by that they may have several of.
CREATE TABLE run_labels (
    kind   TEXT NOT NULL,                 -- tag, as in options; node, the name of one that a worker was placed on
    label  TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (kind, label, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_labels_by_run ON run_labels (run_id);

-- The list of runs is filtered in these, without its rows.
DROP INDEX runs_list;
DROP INDEX runs_by_state;
DROP INDEX runs_by_project;
DROP INDEX runs_by_project_state;
DROP INDEX runs_by_owner;
CREATE INDEX runs_list ON runs (archived, id, state, sweep, project, owner, preset);
CREATE INDEX runs_by_state ON runs (archived, state, id, sweep, project, owner, preset);
CREATE INDEX runs_by_project ON runs (archived, project, id, state, sweep, owner, preset);
CREATE INDEX runs_by_project_state ON runs (archived, project, state, id, sweep, owner, preset);
CREATE INDEX runs_by_owner ON runs (archived, owner, id, state, sweep, project, preset);
CREATE INDEX runs_by_preset ON runs (archived, preset, id, state, sweep, project, owner);
CREATE INDEX runs_by_name ON runs (archived, (substr(lower(name), 1, 100)), id, state, sweep, project, owner, preset);
-- Runs that have started and not ended: the few whose numbers change.
CREATE INDEX runs_under_way ON runs (id) WHERE started_at > 0 AND ended_at = 0;

-- The numbers of ended runs, which the list is sorted by. Those of live ones change with every step, and are in no index.
CREATE TABLE run_results (
    run_id TEXT NOT NULL,
    metric TEXT NOT NULL,                 -- or a run's own number, which begins with a space: see points.SaveResults
    last   REAL,                          -- these three: NULL is NaN, or none
    low    REAL,
    high   REAL,
    PRIMARY KEY (run_id, metric)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_results_by_last ON run_results (metric, last, run_id) WHERE last IS NOT NULL;
CREATE INDEX run_results_by_low ON run_results (metric, low, run_id) WHERE low IS NOT NULL;
CREATE INDEX run_results_by_high ON run_results (metric, high, run_id) WHERE high IS NOT NULL;
INSERT INTO run_results (run_id, metric, last) SELECT id, ' step', step FROM runs WHERE ended_at > 0 AND progress_at > 0;
INSERT INTO run_results (run_id, metric, last) SELECT id, ' loss', loss FROM runs WHERE ended_at > 0 AND has_loss = 1 AND loss IS NOT NULL;
INSERT INTO run_results (run_id, metric, last) SELECT id, ' throughput', tokens_per_sec FROM runs WHERE ended_at > 0 AND tokens_per_sec > 0;
INSERT INTO run_results (run_id, metric, last) SELECT id, ' duration', (ended_at - started_at) / 1000.0 FROM runs WHERE ended_at > 0 AND started_at > 0;
INSERT INTO run_results (run_id, metric, last) SELECT id, ' ended', ended_at / 1000.0 FROM runs WHERE ended_at > 0;
