-- +goose Up
-- The first loss that is no finite number, by step, of the newest attempt that has one.
ALTER TABLE runs ADD COLUMN diverged_attempt INTEGER NOT NULL DEFAULT 0; -- the attempt that the others are of; 0: none has
ALTER TABLE runs ADD COLUMN diverged_step    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN diverged_rank    INTEGER NOT NULL DEFAULT 0;
