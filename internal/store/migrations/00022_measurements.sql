-- +goose Up
-- Times that the nodes measured each other.
CREATE TABLE measurements (
    id         TEXT PRIMARY KEY,          -- sorts by time
    active     INTEGER UNIQUE,            -- 1 while it goes on, NULL after that: one at a time
    started_at INTEGER NOT NULL,          -- Unix milliseconds
    token      TEXT NOT NULL,             -- what its nodes show each other, '' once it has ended
    facts      TEXT NOT NULL              -- JSON of measure.Measurement
) STRICT;

-- The newest that each node measured of itself and of its ways to the others.
CREATE TABLE measured_nodes (
    node_id    TEXT PRIMARY KEY,
    at         INTEGER NOT NULL,          -- Unix milliseconds, when it reported last
    report     TEXT NOT NULL              -- JSON of measure.Report
) STRICT;
CREATE INDEX measured_nodes_by_time ON measured_nodes (at);
