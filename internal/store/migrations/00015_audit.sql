-- The audit log: a row is an audit.Entry, and is never changed. Times are milliseconds; before_value and after_value are JSON, ''
-- for none. hash is over the row and the hash of the one before; see package audit.
CREATE TABLE audit (
    seq          INTEGER PRIMARY KEY,     -- from 1, without gaps
    at           INTEGER NOT NULL,
    logged       INTEGER NOT NULL,        -- never falls
    user_id      TEXT NOT NULL,
    name         TEXT NOT NULL,
    token        TEXT NOT NULL,
    session      TEXT NOT NULL,
    address      TEXT NOT NULL,
    agent        TEXT NOT NULL,
    request      TEXT NOT NULL,
    action       TEXT NOT NULL,
    project      TEXT NOT NULL,
    subject      TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    before_value TEXT NOT NULL,
    after_value  TEXT NOT NULL,
    hash         BLOB NOT NULL
) STRICT;

-- One row: the newest of audit or one a moment before it, and the newest that retention has removed. Who appends locks it, last in its
-- transaction.
CREATE TABLE audit_head (
    id       INTEGER PRIMARY KEY,
    seq      INTEGER NOT NULL,
    logged   INTEGER NOT NULL,
    hash     BLOB NOT NULL,
    cut_seq  INTEGER NOT NULL,
    cut_hash BLOB NOT NULL
) STRICT;

-- How far the rows of audit are indexed, and forwarded to each destination.
CREATE TABLE audit_marks (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT;

-- Where a term occurs: a place is a group of rows and the hash of a term, with each block of rows in it that has the term; see
-- auditlog/terms.go.
CREATE TABLE audit_terms (
    place INTEGER NOT NULL,
    block INTEGER NOT NULL,
    PRIMARY KEY (place, block)
) STRICT, WITHOUT ROWID;
