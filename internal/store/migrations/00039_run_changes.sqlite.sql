-- +goose Up
-- Lists of runs are filtered and sorted in memory: what only their queries used is gone.
DROP INDEX runs_list;
DROP INDEX runs_by_project;
DROP INDEX runs_by_project_state;
DROP INDEX runs_by_owner;
DROP INDEX runs_by_preset;
DROP INDEX runs_by_name;
DROP INDEX run_results_by_last;
DROP INDEX run_results_by_low;
DROP INDEX run_results_by_high;
CREATE INDEX run_results_by_metric ON run_results (metric, run_id, last, low, high);
DROP TRIGGER run_texts_added;
DROP TRIGGER run_texts_removed;
DROP TABLE run_text_index;
CREATE TABLE run_labels_new (
    kind   TEXT NOT NULL,                 -- tag, as in options; node, the name of one that a worker was placed on
    label  TEXT NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (kind, label, run_id)
) STRICT, WITHOUT ROWID;
INSERT INTO run_labels_new (kind, label, run_id) SELECT kind, label, run_id FROM run_labels;
DROP TABLE run_labels;
ALTER TABLE run_labels_new RENAME TO run_labels;
CREATE INDEX run_labels_by_run ON run_labels (run_id);

-- When what lists are filtered and sorted by last changed of a run, so that a console that holds it in memory reads only that again. The row
-- of a deleted run stays: it says so to those who have not read it. The triggers see every writer.
CREATE TABLE run_changes (
    run_id TEXT PRIMARY KEY,
    seq    INTEGER NOT NULL UNIQUE        -- the greatest is the newest: transactions follow each other
) STRICT, WITHOUT ROWID;

CREATE TRIGGER runs_listed AFTER INSERT ON runs BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER runs_relisted AFTER UPDATE OF name, preset, state, sweep, project, owner, archived ON runs
    WHEN (old.name, old.preset, old.state, old.sweep, old.project, old.owner, old.archived) IS NOT (new.name, new.preset, new.state, new.sweep, new.project, new.owner, new.archived) BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER runs_unlisted AFTER DELETE ON runs BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (old.id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER run_labels_listed AFTER INSERT ON run_labels BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.run_id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER run_labels_unlisted AFTER DELETE ON run_labels BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (old.run_id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER run_texts_relisted AFTER UPDATE ON run_texts BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER run_texts_listed AFTER INSERT ON run_texts BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
-- Results are stored together, always with the time of the end.
CREATE TRIGGER run_results_listed AFTER INSERT ON run_results WHEN new.metric = ' ended' BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (new.run_id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
CREATE TRIGGER run_results_unlisted AFTER DELETE ON run_results WHEN old.metric = ' ended' BEGIN
    INSERT INTO run_changes (run_id, seq) VALUES (old.run_id, (SELECT coalesce(max(seq), 0) + 1 FROM run_changes)) ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq;
END;
