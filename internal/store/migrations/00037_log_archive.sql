-- +goose Up
-- Of a sealed block of a log: the SHA-256 of its blob in hexadecimal, and the blob's bytes; '' and 0 for blocks from before.
ALTER TABLE log_blocks ADD COLUMN sum TEXT NOT NULL DEFAULT '';
ALTER TABLE log_blocks ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
-- When and by which limit the log of an ended run was deleted: a run.LogDeleted as JSON, '' where it was not.
ALTER TABLE runs ADD COLUMN log_deleted TEXT NOT NULL DEFAULT '';
-- The bytes of its blobs, as far as they were measured.
ALTER TABLE runs ADD COLUMN log_bytes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX log_blocks_unmeasured ON log_blocks (run_id, first_chunk) WHERE size = 0;
-- Logs that can be deleted, the oldest first.
CREATE INDEX runs_by_log ON runs (ended_at, id) WHERE log_bytes > 0 AND ended_at > 0;
CREATE INDEX runs_by_log_of_project ON runs (project, ended_at, id) WHERE log_bytes > 0 AND ended_at > 0;

-- The bytes of all blobs of a project.
CREATE TABLE log_usage (
    project    TEXT PRIMARY KEY,
    bytes      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the archive is still to delete: blobs, and folders with a slash at the end.
CREATE TABLE log_leftovers (
    name       TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- The limits of logs that count, by project, '' for all, since when: a change counts a day later.
CREATE TABLE log_limits (
    project    TEXT PRIMARY KEY,
    age        INTEGER NOT NULL,          -- seconds, 0 for ever
    bytes      INTEGER NOT NULL,          -- 0 without a limit
    since      INTEGER NOT NULL           -- Unix milliseconds
) STRICT, WITHOUT ROWID;
