-- +goose Up
ALTER TABLE unrolled RENAME TO stale_curves;

-- Why the workers of a run are or were stopped: run.StopCause. stop_reason says it to people.
ALTER TABLE runs ADD COLUMN stop_cause TEXT NOT NULL DEFAULT '';
UPDATE runs SET stop_cause = CASE
    WHEN stop_requested = 1 AND stop_reason = '' THEN 'asked'
    WHEN stop_requested = 1 AND stop_reason LIKE 'stopped with the console%' THEN 'agent'
    WHEN stop_requested = 1 THEN 'expired'
    WHEN stop_reason LIKE 'Nomad placed %' THEN 'overdue'
    ELSE 'doomed' END
    WHERE stop_requested = 1 OR stop_reason <> '';

-- The console is one actor, whichever part of it decides.
UPDATE events SET actor = 'cotrain' WHERE actor IN ('queue', 'console');
