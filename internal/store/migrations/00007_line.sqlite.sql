-- +goose Up
-- A run is sent only when it fits, so those that may be sent are looked up by shape too: where the first of a shape does not
-- fit none of it does. The terms of their WHERE stand in the queries as they stand here, or SQLite does not use them.
DROP INDEX runs_ready;
CREATE INDEX runs_ready ON runs (sweep, shape, priority DESC, id) WHERE state = 'queued' AND not_before = 0;
-- All of them in the order of their turns.
CREATE INDEX runs_line ON runs (priority DESC, id, sweep) WHERE state = 'queued' AND not_before = 0;
CREATE INDEX attempts_maybe_sent ON attempts (run_id) WHERE maybe_sent = 1;

ALTER TABLE attempts ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0; -- 1 once it was taken back because Nomad placed only a part of it
