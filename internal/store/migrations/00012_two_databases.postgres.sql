-- Every text is COLLATE "C", whatever the database's collation is: the order of IDs and names is that of SQLite. What the
-- columns mean stands in the migrations before.
CREATE TABLE runs (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    preset           TEXT NOT NULL,
    config           TEXT NOT NULL,
    shape            TEXT NOT NULL,
    state            TEXT NOT NULL,
    reason           TEXT NOT NULL,
    stop_requested   INTEGER NOT NULL,
    attempt          INTEGER NOT NULL,
    steps_total      INTEGER NOT NULL,
    inner_steps      INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER NOT NULL,
    ended_at         INTEGER NOT NULL,
    participants     INTEGER NOT NULL,
    step             INTEGER NOT NULL,
    loss             REAL,
    has_loss         INTEGER NOT NULL,
    tokens_per_sec   REAL,
    progress_at      INTEGER NOT NULL,
    submit_key       TEXT UNIQUE,
    options          TEXT NOT NULL,
    origin           TEXT NOT NULL,
    sweep            TEXT NOT NULL,
    priority         INTEGER NOT NULL,
    ckpt_path        TEXT NOT NULL,
    retried          INTEGER NOT NULL,
    port_conflicts   INTEGER NOT NULL,
    not_before       INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    stop_reason      TEXT NOT NULL,
    stop_cause       TEXT NOT NULL,
    first_attempt    INTEGER NOT NULL DEFAULT 0,
    first_step       INTEGER NOT NULL,
    first_at         INTEGER NOT NULL,
    diverged_attempt INTEGER NOT NULL,
    diverged_step    INTEGER NOT NULL,
    diverged_rank    INTEGER NOT NULL,
    max_seconds      INTEGER NOT NULL
) WITH (fillfactor = 70);                 -- progress is written into the same page, and into no index
CREATE INDEX runs_by_state ON runs (state, id, sweep);
CREATE INDEX runs_list ON runs (id, state, sweep);
CREATE INDEX runs_by_sweep ON runs (sweep, id) WHERE sweep <> '';
CREATE INDEX runs_by_sweep_state ON runs (sweep, state) WHERE sweep <> '';
CREATE INDEX runs_ready ON runs (sweep, shape, priority DESC, id) WHERE state = 'queued' AND not_before = 0;
CREATE INDEX runs_line ON runs (priority DESC, id, sweep) WHERE state = 'queued' AND not_before = 0;
CREATE INDEX runs_ready_reason ON runs (sweep, reason) WHERE state = 'queued' AND not_before = 0;
CREATE INDEX runs_by_not_before ON runs (not_before) WHERE state = 'queued' AND not_before > 0;
CREATE INDEX runs_by_expiry ON runs ((started_at + 1000 * max_seconds)) WHERE state = 'queued' AND started_at > 0 AND max_seconds > 0;

CREATE TABLE run_texts (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    text   TEXT NOT NULL
);
-- Every three characters of a text that follow each other. The extension pg_trgm has such an index, of letters and digits alone.
CREATE FUNCTION trigrams(t text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    c text[] := string_to_array(t, NULL);
    found text[] := '{}';
BEGIN
    FOR i IN 1 .. cardinality(c) - 2 LOOP
        found := found || (c[i] || c[i + 1] || c[i + 2]);
    END LOOP;
    RETURN found;
END $$;
CREATE INDEX run_text_index ON run_texts USING gin (trigrams(text));
ALTER INDEX run_text_index ALTER COLUMN 1 SET STATISTICS 0; -- how often which occurs decides nothing

CREATE TABLE attempts (
    run_id     TEXT NOT NULL,
    number     INTEGER NOT NULL,
    parent_job TEXT NOT NULL,
    job_id     TEXT NOT NULL,
    maybe_sent INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL,
    resume     TEXT NOT NULL,
    recalled   INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
);
CREATE INDEX attempts_by_job ON attempts (job_id);
CREATE INDEX attempts_maybe_sent ON attempts (run_id) WHERE maybe_sent = 1;

CREATE TABLE workers (
    alloc_id   TEXT PRIMARY KEY,
    run_id     TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    state      TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    body       TEXT NOT NULL
);
CREATE INDEX workers_by_run ON workers (run_id, attempt, rank);

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     TEXT NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    level      TEXT NOT NULL,
    actor      TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    rank       INTEGER NOT NULL,
    message    TEXT NOT NULL
);
CREATE INDEX events_by_run ON events (run_id, seq);

CREATE TABLE series (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    rank   INTEGER NOT NULL,
    UNIQUE (run_id, metric, rank)
);

-- The newest points of live runs only: written and deleted all the time.
CREATE TABLE points (
    series  INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    value   REAL,
    at      INTEGER NOT NULL,
    exact   INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (series, step)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 1);

CREATE TABLE point_chunks (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    series     INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    exact      INTEGER NOT NULL,
    first_step INTEGER NOT NULL,
    last_step  INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    nans       INTEGER NOT NULL,
    low        REAL,
    high       REAL,
    sum        REAL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    data       BLOB NOT NULL
);
ALTER TABLE point_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- it is compressed
CREATE INDEX point_chunks_by_first ON point_chunks (series, first_step, last_step);
CREATE INDEX point_chunks_by_last ON point_chunks (series, last_step, first_step);

CREATE TABLE curve_blocks (
    run_id TEXT NOT NULL,
    metric TEXT NOT NULL,
    block  INTEGER NOT NULL,
    data   BLOB NOT NULL,
    PRIMARY KEY (run_id, metric, block)
);
ALTER TABLE curve_blocks ALTER COLUMN data SET STORAGE EXTERNAL; -- it is compressed

CREATE TABLE stale_curves (
    run_id    TEXT NOT NULL,
    taken     INTEGER NOT NULL,
    from_step INTEGER NOT NULL,
    to_step   INTEGER NOT NULL,
    PRIMARY KEY (run_id, taken)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE repeats (
    run_id    TEXT NOT NULL,
    attempt   INTEGER NOT NULL,
    from_step INTEGER NOT NULL,
    PRIMARY KEY (run_id, attempt)
);

CREATE TABLE streams (
    alloc_id TEXT NOT NULL,
    stream   TEXT NOT NULL,
    run_id   TEXT NOT NULL,
    file     TEXT NOT NULL,
    pos      INTEGER NOT NULL,
    parser   TEXT NOT NULL,
    done     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    told     TEXT NOT NULL,
    PRIMARY KEY (alloc_id, stream)
) WITH (fillfactor = 70);
CREATE INDEX streams_by_run ON streams (run_id);

CREATE TABLE log_chunks (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    rank   INTEGER NOT NULL,
    stream TEXT NOT NULL,
    at     INTEGER NOT NULL,
    data   BLOB NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE log_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- it goes into a compressed block soon
CREATE INDEX log_chunks_by_run ON log_chunks (run_id, id);

CREATE TABLE log_blocks (
    run_id      TEXT NOT NULL,
    first_chunk INTEGER NOT NULL,
    last_chunk  INTEGER NOT NULL,
    ranks       TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    blob        TEXT NOT NULL,
    PRIMARY KEY (run_id, first_chunk)
);

CREATE TABLE checkpoints (
    run_id  TEXT NOT NULL,
    rank    INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    path    TEXT NOT NULL,
    PRIMARY KEY (run_id, rank, step)
);

CREATE TABLE templates (
    key         TEXT NOT NULL,
    version     INTEGER NOT NULL,
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    config      TEXT NOT NULL,
    shape       TEXT NOT NULL,
    options     TEXT NOT NULL,
    note        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (key, version)
);

CREATE TABLE sweeps (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    spec       TEXT NOT NULL,
    fields     TEXT NOT NULL,
    parallel   INTEGER NOT NULL,
    stopped    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    actor      TEXT NOT NULL,
    submit_key TEXT UNIQUE
);

CREATE TABLE orders (
    job_id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    purge  INTEGER NOT NULL
);

CREATE TABLE write_checks (
    id   INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
ALTER TABLE write_checks ALTER COLUMN data SET STORAGE EXTERNAL;

-- Which console had the database last; see db.owner.
CREATE TABLE console (
    id    INTEGER PRIMARY KEY,
    token TEXT NOT NULL
);
