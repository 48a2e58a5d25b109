package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

func scanRow(s db.Scanner) (r audit.Row, err error) {
	var at, logged int64
	var before, after string
	var hash []byte
	err = s.Scan(&r.Seq, &at, &logged, &r.Actor.User, &r.Actor.Name, &r.Actor.Token, &r.Actor.Session, &r.Actor.Address, &r.Actor.Agent,
		&r.Request, &r.Action, &r.Project, &r.Subject, &r.Outcome, &r.Reason, &before, &after, &hash)
	r.At, r.Logged = db.FromMillis(at), db.FromMillis(logged)
	if before != "" {
		r.Before = json.RawMessage(before)
	}
	if after != "" {
		r.After = json.RawMessage(after)
	}
	copy(r.Hash[:], hash)
	return r, err
}

// Head returns where the log ends, and where it begins.
func (l *Log) Head(ctx context.Context) (audit.Head, error) {
	h, err := currentHead(ctx, l.db)
	return audit.Head{Seq: h.seq, Hash: h.hash, CutSeq: h.cutSeq, CutHash: h.cutHash}, err
}

func currentHead(ctx context.Context, q db.Querier) (head, error) {
	h, err := readHead(ctx, q)
	if errors.Is(err, fault.ErrNotFound) {
		return h, nil // nothing was ever appended
	}
	if err != nil {
		return h, fmt.Errorf("read the end of the audit log: %w", err)
	}
	return h, nil
}

// readRows is how many rows are read at once.
const readRows = 500

// rows returns up to n rows after an entry, in order.
func rows(ctx context.Context, q db.Querier, after int64, n int) ([]audit.Row, error) {
	return db.Select(ctx, q, scanRow, `SELECT `+columns+` FROM audit WHERE seq > ? ORDER BY seq LIMIT ?`, after, n)
}
