-- +goose Up
CREATE TABLE runs (
    id             TEXT PRIMARY KEY,      -- sorts by time of creation
    name           TEXT NOT NULL,
    preset         TEXT NOT NULL,
    config         TEXT NOT NULL,         -- CotrainCore TOML
    shape          TEXT NOT NULL,         -- JSON of run.Shape
    state          TEXT NOT NULL,
    reason         TEXT NOT NULL,
    stop_requested INTEGER NOT NULL,
    attempt        INTEGER NOT NULL,
    steps_total    INTEGER NOT NULL,
    inner_steps    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,      -- this and every other time: Unix milliseconds, 0 for none
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER NOT NULL,
    participants   INTEGER NOT NULL,
    step           INTEGER NOT NULL,
    loss           REAL,                  -- NULL is NaN
    has_loss       INTEGER NOT NULL,
    tokens_per_sec REAL,
    progress_at    INTEGER NOT NULL,
    submit_key     TEXT UNIQUE            -- idempotency key of the submission
) STRICT;
CREATE INDEX runs_by_state ON runs (state, id);

CREATE TABLE attempts (
    run_id     TEXT NOT NULL,
    number     INTEGER NOT NULL,
    parent_job TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    maybe_sent INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_job ON attempts (job_id);

CREATE TABLE workers (
    alloc_id   TEXT PRIMARY KEY,
    run_id     TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    body       TEXT NOT NULL              -- JSON of run.Worker
) STRICT;
CREATE INDEX workers_by_run ON workers (run_id, attempt, rank);

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    level      TEXT NOT NULL,             -- info, warning or error
    actor      TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    rank       INTEGER NOT NULL,          -- -1 for the run
    message    TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_run ON events (run_id, seq);

CREATE TABLE series (
    id     INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,                 -- '' once its run is deleted, until its points are
    metric TEXT NOT NULL,
    rank   INTEGER NOT NULL,
    UNIQUE (run_id, metric, rank)
) STRICT;

CREATE TABLE points (
    series  INTEGER NOT NULL,
    step    INTEGER NOT NULL,             -- Unix milliseconds for metrics that have no step
    value   REAL,                         -- NULL is NaN
    at      INTEGER NOT NULL,
    exact   INTEGER NOT NULL,             -- 1 from a machine line, 0 from a printed one
    attempt INTEGER NOT NULL,
    PRIMARY KEY (series, step)
) STRICT, WITHOUT ROWID;

-- What charts show of a metric: each step over all workers. Derived from points, and behind them by what is in unrolled.
CREATE TABLE curves (
    run_id  TEXT NOT NULL,
    metric  TEXT NOT NULL,
    step    INTEGER NOT NULL,
    mean    REAL,                         -- these four: NULL is NaN
    low     REAL,
    high    REAL,
    sum     REAL,
    workers INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (run_id, metric, step)
) STRICT, WITHOUT ROWID;

-- The steps of a run whose points have changed since its curves were last derived: as marked by those who store points,
-- and as taken by the one who derives.
CREATE TABLE unrolled (
    run_id    TEXT NOT NULL,
    taken     INTEGER NOT NULL,
    from_step INTEGER NOT NULL,
    to_step   INTEGER NOT NULL,
    PRIMARY KEY (run_id, taken)
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    alloc_id TEXT NOT NULL,
    stream   TEXT NOT NULL,               -- stdout or stderr
    run_id   TEXT NOT NULL,
    file     TEXT NOT NULL,               -- the rotated file that the cursor is in
    pos      INTEGER NOT NULL,            -- bytes of it that are stored
    parser   TEXT NOT NULL,               -- JSON of logparse.State
    done     INTEGER NOT NULL,            -- 1 when nothing more will come
    PRIMARY KEY (alloc_id, stream)
) STRICT, WITHOUT ROWID;
CREATE INDEX streams_by_run ON streams (run_id);

CREATE TABLE log_chunks (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    rank   INTEGER NOT NULL,
    stream TEXT NOT NULL,
    at     INTEGER NOT NULL,
    data   BLOB NOT NULL
) STRICT;
CREATE INDEX log_chunks_by_run ON log_chunks (run_id, id);

CREATE TABLE log_blocks (
    run_id      TEXT NOT NULL,
    first_chunk INTEGER NOT NULL,
    last_chunk  INTEGER NOT NULL,
    ranks       TEXT NOT NULL,            -- ',0,2,' the workers whose lines are in it
    bytes       INTEGER NOT NULL,         -- before compression
    blob        TEXT NOT NULL,            -- name in the archive
    PRIMARY KEY (run_id, first_chunk)
) STRICT, WITHOUT ROWID;
