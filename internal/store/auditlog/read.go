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

// Row is an entry with its hash.
type Row struct {
	audit.Entry
	Hash audit.Hash
}

func scanRow(s db.Scanner) (r Row, err error) {
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

// Head is the newest entry, and the newest that retention has removed, by number and hash.
type Head struct {
	Seq     int64
	Hash    audit.Hash
	CutSeq  int64
	CutHash audit.Hash
}

// Head returns where the log ends, and where it begins.
func (l *Log) Head(ctx context.Context) (Head, error) { return readHead(ctx, l.db) }

func readHead(ctx context.Context, q db.Querier) (Head, error) {
	e, err := readEnd(ctx, q, "")
	if errors.Is(err, fault.ErrNotFound) {
		err = nil // nothing was ever appended
	}
	if err != nil {
		return Head{}, fmt.Errorf("read the end of the audit log: %w", err)
	}
	return Head{e.seq, e.hash, e.cutSeq, e.cutHash}, nil
}

// readRows is how many rows are read at once.
const readRows = 500

// rows returns up to n rows after an entry, in order.
func rows(ctx context.Context, q db.Querier, after int64, n int) ([]Row, error) {
	return db.Select(ctx, q, scanRow, `SELECT `+columns+` FROM audit WHERE seq > ? ORDER BY seq LIMIT ?`, after, n)
}
