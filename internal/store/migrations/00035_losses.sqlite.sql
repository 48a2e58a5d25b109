-- +goose Up
-- What workers ended of while others of their attempt went on: the cause itself is in body. '' and 0 for all others.
ALTER TABLE workers ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN cause_node TEXT NOT NULL DEFAULT '';
ALTER TABLE workers ADD COLUMN cause_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX workers_by_fingerprint ON workers (fingerprint, cause_at, run_id, attempt, cause_node) WHERE fingerprint <> '';
CREATE INDEX workers_by_loss ON workers (cause_at, run_id, attempt) WHERE fingerprint <> '';
