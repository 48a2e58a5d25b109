-- +goose Up
-- Why attempts failed: a run.Cause as JSON, '' for none; of a run that of its newest attempt.
ALTER TABLE runs ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN cause TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN cause_node TEXT NOT NULL DEFAULT '';
CREATE INDEX attempts_by_fingerprint ON attempts (fingerprint, ended_at, run_id, cause_node) WHERE fingerprint <> '';
