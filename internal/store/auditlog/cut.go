package auditlog

import (
	"context"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// cutRows is how many rows are removed in one transaction.
	cutRows = 10_000
	// cutBits of a term's hash divide a group of the index into what is removed in one transaction.
	cutBits = 4
)

// Cut removes the entries that were logged before a time, but for those that a destination (see [Log.Forwarded]) has not got, and
// returns how many. Each transaction leaves an entry that says so. The chain goes on after the last that was removed.
func (l *Log) Cut(ctx context.Context, before time.Time, destinations []string) (removed int64, err error) {
	through, err := l.cuttable(ctx, before, destinations)
	for err == nil {
		var n int64
		if n, err = l.cut(ctx, through); n == 0 {
			break
		}
		removed += n
	}
	if err == nil && removed > 0 {
		err = l.cutIndex(ctx, through)
	}
	if err != nil {
		return removed, fmt.Errorf("remove the oldest entries of the audit log: %w", err)
	}
	return removed, nil
}

// cuttable returns the newest entry to remove.
func (l *Log) cuttable(ctx context.Context, before time.Time, destinations []string) (through int64, err error) {
	err = l.db.Read(ctx, func(tx *db.Snapshot) error {
		head, err := currentHead(ctx, tx)
		if err != nil {
			return err
		}
		first, err := firstLogged(ctx, tx, head.cutSeq+1, head.seq, before)
		if err != nil {
			return err
		}
		through = first - 1
		for _, name := range destinations {
			at, err := mark(ctx, tx, name)
			if err != nil {
				return err
			}
			through = min(through, at)
		}
		return nil
	})
	return through, err
}

func (l *Log) cut(ctx context.Context, through int64) (n int64, err error) {
	err = l.db.Write(ctx, func(tx *db.Tx) error {
		at, err := lockedHead(ctx, tx)
		if err != nil {
			return err
		}
		upTo := min(through, at.cutSeq+cutRows)
		if n = upTo - at.cutSeq; n <= 0 {
			n = 0
			return nil
		}
		var hash []byte
		if err := tx.QueryRow(ctx, `SELECT hash FROM audit WHERE seq = ?`, upTo).Scan(&hash); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM audit WHERE seq > ? AND seq <= ?`, at.cutSeq, upTo); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE audit_head SET cut_seq = ?, cut_hash = ? WHERE id = 0`, upTo, hash); err != nil {
			return err
		}
		if err := noteEnd(ctx, tx, at.end); err != nil { // which may be removed
			return err
		}
		e := audit.Entry{Actor: audit.Actor{Name: audit.Console}, Action: audit.RetentionAction, Subject: "audit", Outcome: audit.Done}
		if err := setValues(&e, nil, audit.Cut{Through: upTo, Hash: fmt.Sprintf("%x", hash)}); err != nil {
			return err
		}
		return appendAll(ctx, tx, []audit.Entry{e})
	})
	return n, err
}

// cutIndex removes what is indexed of the groups that are gone.
func (l *Log) cutIndex(ctx context.Context, through int64) error {
	last := groupOf(blockOf(through + 1)) // the first that is kept
	for {
		first, err := db.Select(ctx, l.db, db.One[int64], `SELECT place FROM audit_terms WHERE place >= 0 ORDER BY place LIMIT 1`)
		if err != nil || len(first) == 0 || first[0]>>hashBits >= last {
			return err
		}
		to := (first[0]>>(hashBits-cutBits) + 1) << (hashBits - cutBits)
		if _, err := l.db.Exec(ctx, `DELETE FROM audit_terms WHERE place < ?`, to); err != nil {
			return err
		}
	}
}

// Forwarded returns the newest entry that a destination has got, 0 for none.
func (l *Log) Forwarded(ctx context.Context, destination string) (int64, error) {
	return mark(ctx, l.db, destination)
}

// SetForwarded says that a destination has got all entries up to one.
func (l *Log) SetForwarded(ctx context.Context, destination string, seq int64) error {
	return l.db.Write(ctx, func(tx *db.Tx) error { return setMark(ctx, tx, destination, seq) })
}

// After returns up to n entries after one, oldest first.
func (l *Log) After(ctx context.Context, seq int64, n int) ([]audit.Row, error) {
	found, err := rows(ctx, l.db, seq, n)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return found, nil
}
