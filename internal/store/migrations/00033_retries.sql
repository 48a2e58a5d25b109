-- +goose Up
-- What failed attempts have used of a run's retries: a run.RetryLedger as JSON, '' for nothing.
ALTER TABLE runs ADD COLUMN ledger TEXT NOT NULL DEFAULT '';
