-- The columns from which PostgreSQL begins, in 00012_two_databases.postgres.sql.

-- When a queued run has taken as long as it may, from its start: options.max_duration_seconds, 0 for no limit.
ALTER TABLE runs ADD COLUMN max_seconds INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET max_seconds = coalesce(json_extract(options, '$.max_duration_seconds'), 0);
DROP INDEX runs_by_expiry;
CREATE INDEX runs_by_expiry ON runs (started_at + 1000 * max_seconds) WHERE state = 'queued' AND started_at > 0 AND max_seconds > 0;

-- The list of runs is filtered in these, without its rows.
DROP INDEX runs_by_state;
CREATE INDEX runs_by_state ON runs (state, id, sweep);
CREATE INDEX runs_list ON runs (id, state, sweep);

-- As in body.
ALTER TABLE workers ADD COLUMN started_at INTEGER NOT NULL DEFAULT 0;
UPDATE workers SET started_at = coalesce(CAST(round(1000 * unixepoch(json_extract(body, '$.started_at'), 'subsec')) AS INTEGER), 0);

ALTER TABLE runs DROP COLUMN words;
-- What the list of runs is searched for: name, ID, description and tags; see store.searchable.
CREATE TABLE run_texts (
    number INTEGER PRIMARY KEY,           -- of the run, from its ID: the same order
    id     TEXT NOT NULL UNIQUE,
    text   TEXT NOT NULL
) STRICT;
CREATE VIRTUAL TABLE run_text_index USING fts5 (text, content = 'run_texts', content_rowid = 'number', tokenize = 'trigram case_sensitive 1', detail = none);
CREATE TRIGGER run_texts_added AFTER INSERT ON run_texts BEGIN
    INSERT INTO run_text_index (rowid, text) VALUES (new.number, new.text);
END;
CREATE TRIGGER run_texts_removed AFTER DELETE ON run_texts BEGIN
    INSERT INTO run_text_index (run_text_index, rowid, text) VALUES ('delete', old.number, old.text);
END;
