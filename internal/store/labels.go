package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/catalog"
	"github.com/cotrain/cotrain/internal/store/db"
)

// maxLabel is the most bytes of a label: it is a key.
const maxLabel = 200

func addLabels(ctx context.Context, tx *db.Tx, id run.ID, kind string, labels []string) error {
	for _, label := range labels {
		label = fault.Cut(label, maxLabel)
		if _, err := tx.Exec(ctx, `INSERT INTO run_labels (kind, label, run_id) VALUES (?,?,?) ON CONFLICT DO NOTHING`, kind, label, id); err != nil {
			return err
		}
	}
	return nil
}

// relabel stores what [run.Edit] changed, and what the run is found by then.
func relabel(ctx context.Context, tx *db.Tx, was, is run.Run) error {
	if was.Note != is.Note || was.Archived != is.Archived {
		if _, err := tx.Exec(ctx, `UPDATE runs SET note = ?, archived = ? WHERE id = ?`, is.Note, is.Archived, is.ID); err != nil {
			return err
		}
	}
	if slices.Equal(was.Options.Tags, is.Options.Tags) {
		return nil
	}
	options, err := json.Marshal(is.Options)
	if err != nil {
		return fmt.Errorf("encode options: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE runs SET options = ? WHERE id = ?`, string(options), is.ID); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM run_labels WHERE run_id = ? AND kind = ?`, is.ID, catalog.Tag); err != nil {
		return err
	}
	if err := addLabels(ctx, tx, is.ID, catalog.Tag, is.Options.Tags); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM run_texts WHERE id = ?`, is.ID); err != nil {
		return err
	}
	return insertText(ctx, tx, is)
}

// nodeLabel is how a run is found by a worker's node: by its name, or else by its ID.
func nodeLabel(w run.Worker) []string {
	if node := cmp.Or(w.NodeName, w.NodeID); node != "" {
		return []string{node}
	}
	return nil
}

// fillLabels has the runs of an older database found by tags and nodes.
func fillLabels(ctx context.Context, tx *db.Tx) error {
	type labelled struct {
		id     run.ID
		kind   string
		labels []string
	}
	tags, err := db.Select(ctx, tx, func(row db.Scanner) (l labelled, err error) {
		var text string
		var o run.Options
		if err := row.Scan(&l.id, &text); err != nil {
			return l, err
		}
		err = json.Unmarshal([]byte(text), &o)
		l.kind, l.labels = catalog.Tag, o.Tags
		return l, err
	}, `SELECT id, options FROM runs`)
	if err != nil {
		return err
	}
	nodes, err := db.Select(ctx, tx, func(row db.Scanner) (l labelled, err error) {
		var body string
		var w run.Worker
		if err := row.Scan(&l.id, &body); err != nil {
			return l, err
		}
		err = json.Unmarshal([]byte(body), &w)
		l.kind, l.labels = catalog.Node, nodeLabel(w)
		return l, err
	}, `SELECT run_id, body FROM workers`)
	if err != nil {
		return err
	}
	for _, l := range slices.Concat(tags, nodes) {
		for _, label := range l.labels {
			if _, err := tx.Exec(ctx, `INSERT INTO run_labels (kind, label, run_id) VALUES (?,?,?) ON CONFLICT DO NOTHING`, l.kind, fault.Cut(label, maxLabel), l.id); err != nil {
				return err
			}
		}
	}
	return nil
}
