-- +goose Up
-- What Nomad is to do with a child job. A row goes when Nomad has taken the order, however often the console restarts until then.
CREATE TABLE orders (
    job_id TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,                 -- may be deleted already
    purge  INTEGER NOT NULL               -- 0 to stop the job, 1 to stop and forget it
) STRICT, WITHOUT ROWID;

-- Why a run is or was stopped, '' when a person wanted it and nothing more is to be said.
ALTER TABLE runs ADD COLUMN stop_reason TEXT NOT NULL DEFAULT '';
UPDATE runs SET stop_reason = reason WHERE state = 'stopping' AND stop_requested = 1 AND reason <> 'workers were asked to save and leave';

-- What the stream says about the end of its worker: JSON of run.Told.
ALTER TABLE streams ADD COLUMN told TEXT NOT NULL DEFAULT '{}';
