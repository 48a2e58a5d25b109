package auditlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Append appends the entry of the change under way ([audit.Of]) in the transaction that makes the change, so that both are
// stored or neither. It does nothing for what the console does by itself. subject and project, if not "", and before and
// after, if not nil, become the entry's.
//
// Call it last: it locks the end of the log.
func Append(ctx context.Context, tx *db.Tx, subject, project string, before, after any) error {
	p := audit.Of(ctx)
	if p == nil {
		return nil
	}
	e := p.Entry
	e.Subject, e.Project, e.Outcome = cmp.Or(subject, e.Subject), cmp.Or(project, e.Project), cmp.Or(e.Outcome, audit.Done)
	if err := setValues(&e, before, after); err != nil {
		return err
	}
	if err := appendAll(ctx, tx, []audit.Entry{e}); err != nil {
		return err
	}
	tx.OnEnd(p.Record)
	return nil
}

func setValues(e *audit.Entry, before, after any) error {
	b, err := audit.Value(before)
	if err != nil {
		return err
	}
	a, err := audit.Value(after)
	if err != nil {
		return err
	}
	if b != nil {
		e.Before = b
	}
	if a != nil {
		e.After = a
	}
	return nil
}

// end is the end of the log, and its beginning.
type end struct {
	seq, logged, cutSeq int64
	hash, cutHash       audit.Hash
}

// lockEnd keeps others from appending until the transaction ends.
func lockEnd(ctx context.Context, tx *db.Tx) (end, error) {
	e, err := readEnd(ctx, tx, forUpdate)
	if !errors.Is(err, fault.ErrNotFound) {
		return e, err
	}
	none := make([]byte, len(audit.Hash{}))
	if _, err := tx.Exec(ctx, `INSERT INTO audit_head (id, seq, logged, hash, cut_seq, cut_hash) VALUES (0, 0, 0, ?, 0, ?)`, none, none); err != nil {
		return end{}, err
	}
	return readEnd(ctx, tx, forUpdate)
}

const forUpdate = ` FOR UPDATE`

func readEnd(ctx context.Context, q db.Querier, lock string) (e end, err error) {
	var hash, cut []byte
	err = q.QueryRow(ctx, `SELECT seq, logged, hash, cut_seq, cut_hash FROM audit_head WHERE id = 0`+lock).Scan(&e.seq, &e.logged, &hash, &e.cutSeq, &cut)
	copy(e.hash[:], hash)
	copy(e.cutHash[:], cut)
	return e, err
}

const columns = `seq, at, logged, user_id, name, token, session, address, agent, request, action, project, subject, outcome, reason, before_value, after_value, hash`

// rowsPerInsert saves most of the cost of a statement.
const rowsPerInsert = 32

var (
	insertRow  = insertRows(1)
	insertMany = insertRows(rowsPerInsert)
)

func insertRows(n int) string {
	row := `(?` + strings.Repeat(`,?`, strings.Count(columns, ",")) + `)`
	return `INSERT INTO audit (` + columns + `) VALUES ` + row + strings.Repeat(`,`+row, n-1)
}

// appendAll gives entries their places in the chain and stores them.
func appendAll(ctx context.Context, tx *db.Tx, entries []audit.Entry) error {
	at, err := lockEnd(ctx, tx)
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	now := time.UnixMilli(max(time.Now().UnixMilli(), at.logged))
	var args []any
	var text []byte
	for some := range slices.Chunk(entries, rowsPerInsert) {
		args = args[:0]
		for _, e := range some {
			at.seq++
			e.Seq, e.Logged = at.seq, now
			if e.At.IsZero() {
				e.At = now
			}
			e = e.Clean()
			text = e.AppendCanonical(text[:0])
			at.hash = at.hash.Next(text)
			args = append(args, e.Seq, db.Millis(e.At), db.Millis(e.Logged), e.Actor.User, e.Actor.Name, e.Actor.Token, e.Actor.Session, e.Actor.Address, e.Actor.Agent,
				e.Request, e.Action, e.Project, e.Subject, e.Outcome, e.Reason, string(e.Before), string(e.After), slices.Clone(at.hash[:]))
		}
		if len(some) == rowsPerInsert {
			_, err = tx.Exec(ctx, insertMany, args...)
		} else {
			for row := range slices.Chunk(args, len(args)/len(some)) {
				if _, err = tx.Exec(ctx, insertRow, row...); err != nil {
					break
				}
			}
		}
		if err != nil {
			return fmt.Errorf("append to the audit log: %w", err)
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE audit_head SET seq = ?, logged = ?, hash = ? WHERE id = 0`, at.seq, now.UnixMilli(), at.hash[:]); err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	return nil
}
