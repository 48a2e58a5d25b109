-- +goose Up
-- What is wrong with a live run: a list of run.Notice as JSON, and how it went back because of its loss: a run.Rollback; '' for nothing.
ALTER TABLE runs ADD COLUMN notices TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN rollback TEXT NOT NULL DEFAULT '';
