-- +goose Up
-- A site's own rules of diagnosis: the newest revision counts, some before it are kept.
CREATE TABLE cause_rules (
    revision   INTEGER PRIMARY KEY,
    body       TEXT NOT NULL,             -- TOML
    saved_at   INTEGER NOT NULL,          -- Unix milliseconds
    saved_by   TEXT NOT NULL
) STRICT;

-- Failures by time: to try rules on, and to count on nodes.
CREATE INDEX attempts_by_failure ON attempts (ended_at, run_id, number) WHERE fingerprint <> '';
