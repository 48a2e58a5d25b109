-- +goose Up
-- A pause that is still to come: a run.Pausing as JSON, '' for none.
ALTER TABLE runs ADD COLUMN pausing TEXT NOT NULL DEFAULT '';
-- What the next attempt continues from: a run.ResumeChoice, '' for the newest checkpoint.
ALTER TABLE runs ADD COLUMN next_resume TEXT NOT NULL DEFAULT '';
-- How long the run was paused, or ended until it was tried again; max_seconds grows by as much.
ALTER TABLE runs ADD COLUMN idle_seconds INTEGER NOT NULL DEFAULT 0;
-- Since when the run is paused, in Unix milliseconds, 0 unless it is.
ALTER TABLE runs ADD COLUMN paused_at BIGINT NOT NULL DEFAULT 0;
-- 1 to kill the job's workers at once.
ALTER TABLE orders ADD COLUMN kill INTEGER NOT NULL DEFAULT 0;
