-- +goose Up
-- The first step that an attempt is known to have done, and when: what came before is start-up, and tells nothing of the pace.
ALTER TABLE runs ADD COLUMN first_attempt INTEGER NOT NULL DEFAULT 0; -- the attempt that the others are of
ALTER TABLE runs ADD COLUMN first_step    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN first_at      INTEGER NOT NULL DEFAULT 0;
