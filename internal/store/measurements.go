package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/store/auditlog"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// keptMeasurements is how many are remembered beside what they measured.
	keptMeasurements = 20
	// keptReports is how long what a node has measured counts.
	keptReports = 90 * 24 * time.Hour
)

// auditedMeasurement is what the audit log tells of one.
type auditedMeasurement struct {
	Nodes   []string `json:"nodes"`
	Stopped bool     `json:"stopped,omitempty"`
}

func auditMeasurement(ctx context.Context, tx *db.Tx, before, after *measure.Measurement) error {
	if audit.Of(ctx) == nil {
		return nil
	}
	facts := func(m *measure.Measurement) any {
		if m == nil {
			return nil
		}
		of := auditedMeasurement{Stopped: m.StoppedBy != ""}
		for _, n := range m.Nodes {
			of.Nodes = append(of.Nodes, n.Name)
		}
		return of
	}
	return auditlog.Append(ctx, tx, "measurement:"+after.ID, "", facts(before), facts(after))
}

func encodeMeasurement(m measure.Measurement) (active any, token, facts string, err error) {
	if m.State.Active() {
		active, token = 1, m.Token
	}
	b, err := json.Marshal(m)
	return active, token, string(b), err
}

// StartMeasurement stores a new measurement; [fault.ErrConflict] while another goes on.
func (s *Store) StartMeasurement(ctx context.Context, m measure.Measurement) error {
	active, token, facts, err := encodeMeasurement(m)
	if err != nil {
		return fmt.Errorf("encode measurement %s: %w", m.ID, err)
	}
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		other, err := db.One[string](tx.QueryRow(ctx, `SELECT id FROM measurements WHERE active = 1`))
		if err == nil {
			return fault.New(fault.ErrConflict, "The cluster is being measured already.", "Wait until measurement "+other+" has ended.")
		}
		if !errors.Is(err, fault.ErrNotFound) {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO measurements (id, active, started_at, token, facts) VALUES (?,?,?,?,?)`, m.ID, active, db.Millis(m.StartedAt), token, facts); err != nil {
			return err
		}
		return auditMeasurement(ctx, tx, nil, &m)
	})
	if err != nil {
		return fmt.Errorf("store measurement %s: %w", m.ID, err)
	}
	return nil
}

// StopMeasurement stores who stopped a measurement, and returns it. One that has ended is [fault.ErrConflict].
func (s *Store) StopMeasurement(ctx context.Context, id, actor string) (m measure.Measurement, err error) {
	err = s.db.Write(ctx, func(tx *db.Tx) error {
		var active bool
		if m, active, err = lockMeasurement(ctx, tx, id); err != nil {
			return missing(err, fault.New(fault.ErrNotFound, "There is no measurement "+fault.Quote(id)+".", "See GET /api/v1/cluster/measurements for the newest."))
		}
		if !active {
			return fault.New(fault.ErrConflict, "Measurement "+id+" has ended.", "There is nothing to stop.")
		}
		if m.StoppedBy != "" {
			return nil
		}
		before := m
		m.StoppedBy = actor
		_, _, facts, err := encodeMeasurement(m)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE measurements SET facts = ? WHERE id = ?`, facts, id); err != nil {
			return err
		}
		return auditMeasurement(ctx, tx, &before, &m)
	})
	if err != nil {
		return m, fmt.Errorf("stop measurement %s: %w", id, err)
	}
	return m, nil
}

func lockMeasurement(ctx context.Context, tx *db.Tx, id string) (m measure.Measurement, active bool, err error) {
	var going int
	var facts string
	err = tx.QueryRow(ctx, `SELECT coalesce(active, 0), token, facts FROM measurements WHERE id = ? FOR UPDATE`, id).Scan(&going, &m.Token, &facts)
	if err == nil {
		err = json.Unmarshal([]byte(facts), &m)
	}
	return m, going == 1, err
}

// SaveMeasurement stores how far a measurement is, unless it has ended, and what nodes have reported, over what they did before. With
// known, nodes that are not in it are forgotten.
func (s *Store) SaveMeasurement(ctx context.Context, m measure.Measurement, reports []measure.Report, known map[string]bool) error {
	err := s.db.Write(ctx, func(tx *db.Tx) error {
		stored, _, err := lockMeasurement(ctx, tx, m.ID)
		if err != nil && !errors.Is(err, fault.ErrNotFound) {
			return err
		}
		m.StoppedBy = stored.StoppedBy // meanwhile
		active, token, facts, err := encodeMeasurement(m)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE measurements SET active = ?, token = ?, facts = ? WHERE id = ? AND active = 1`, active, token, facts, m.ID); err != nil {
			return err
		}
		for _, r := range reports {
			if err := saveReport(ctx, tx, r, known, m.StartedAt); err != nil {
				return err
			}
		}
		return forgetMeasured(ctx, tx, known, m.StartedAt)
	})
	if err != nil {
		return fmt.Errorf("store measurement %s: %w", m.ID, err)
	}
	return nil
}

// saveReport merges what a node reports with what it did before.
func saveReport(ctx context.Context, tx *db.Tx, r measure.Report, known map[string]bool, at time.Time) error {
	text, err := db.One[string](tx.QueryRow(ctx, `SELECT report FROM measured_nodes WHERE node_id = ? FOR UPDATE`, r.Node.ID))
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	var before measure.Report
	if err == nil {
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return fmt.Errorf("report of node %s: %w", r.Node.ID, err)
		}
	}
	links := map[string]measure.Link{}
	for to, l := range before.Links {
		if (known == nil || known[to]) && l.At.After(at.Add(-keptReports)) {
			links[to] = l
		}
	}
	for to, l := range r.Links {
		links[to] = before.Links[to].Merge(l)
	}
	r.Links = links
	if r.Facts.At.IsZero() {
		r.Facts = before.Facts
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the report of node %s: %w", r.Node.ID, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO measured_nodes (node_id, at, report) VALUES (?,?,?) ON CONFLICT (node_id) DO UPDATE SET at = excluded.at, report = excluded.report`,
		r.Node.ID, db.Millis(at), string(b))
	return err
}

// forgetMeasured removes what is too old, and nodes that are gone.
func forgetMeasured(ctx context.Context, tx *db.Tx, known map[string]bool, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM measurements WHERE active IS NULL AND id NOT IN (SELECT id FROM measurements ORDER BY id DESC LIMIT ?)`, keptMeasurements); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM measured_nodes WHERE at < ?`, db.Millis(now.Add(-keptReports))); err != nil || known == nil {
		return err
	}
	ids, err := db.Select(ctx, tx, db.One[string], `SELECT node_id FROM measured_nodes`)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if known[id] {
			continue
		}
		if _, err := tx.Exec(ctx, `DELETE FROM measured_nodes WHERE node_id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

// NewestMeasurement returns the one that was started last, which is the one that goes on if any does, or [fault.ErrNotFound].
func (s *Store) NewestMeasurement(ctx context.Context) (measure.Measurement, error) {
	var m measure.Measurement
	var token, facts string
	err := s.db.QueryRow(ctx, `SELECT token, facts FROM measurements ORDER BY id DESC LIMIT 1`).Scan(&token, &facts)
	if err == nil {
		err = json.Unmarshal([]byte(facts), &m)
	}
	m.Token = token
	if err != nil {
		return m, fmt.Errorf("read the newest measurement: %w", err)
	}
	return m, nil
}

// MeasuredNodes returns the newest that each node has reported.
func (s *Store) MeasuredNodes(ctx context.Context) ([]measure.Report, error) {
	out, err := db.Select(ctx, s.db, func(row db.Scanner) (r measure.Report, err error) {
		text, err := db.One[string](row)
		if err == nil {
			err = json.Unmarshal([]byte(text), &r)
		}
		return r, err
	}, `SELECT report FROM measured_nodes ORDER BY node_id`)
	if err != nil {
		return nil, fmt.Errorf("read what nodes have measured: %w", err)
	}
	return out, nil
}
