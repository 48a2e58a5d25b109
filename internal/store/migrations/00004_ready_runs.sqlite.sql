-- +goose Up
-- The queue looks every few seconds. What it looks for is at one end of one of these, however many runs wait. The terms of
-- their WHERE stand in the queries as they stand here, or SQLite does not use them.

-- Those that may be sent, of each sweep in their order; the sweep of a run that is not part of one is ''.
CREATE INDEX runs_ready ON runs (sweep, priority DESC, id) WHERE state = 'queued' AND not_before = 0;
-- Those of them that give another reason for waiting than they should.
CREATE INDEX runs_ready_reason ON runs (sweep, reason) WHERE state = 'queued' AND not_before = 0;
-- Those whose next attempt waits for a time.
CREATE INDEX runs_by_not_before ON runs (not_before) WHERE state = 'queued' AND not_before > 0;
-- Those that had an attempt before, by when they have taken as long as they may; NULL for those without a limit.
CREATE INDEX runs_by_expiry ON runs (started_at + 1000 * json_extract(options, '$.max_duration_seconds'))
    WHERE state = 'queued' AND started_at > 0;
