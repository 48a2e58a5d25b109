package auditlog

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// end is where the log ends.
type end struct {
	seq, logged int64
	hash        audit.Hash
}

// lastKey is under which a process keeps the end as it left it.
type lastKey struct{}

// now is the time, never before that of the newest entry.
func (e end) now() time.Time { return time.UnixMilli(max(time.Now().UnixMilli(), e.logged)) }

// next makes an entry the newest, and returns the values of its row.
func (e *end) next(of audit.Entry, now time.Time) []any {
	e.seq++
	e.logged = now.UnixMilli()
	of.Seq, of.Logged = e.seq, now
	if of.At.IsZero() {
		of.At = now
	}
	of = of.Clean()
	e.hash = e.hash.Next(of.AppendCanonical(make([]byte, 0, usualText)))
	return []any{
		of.Seq, db.Millis(of.At), db.Millis(of.Logged), string(of.Actor.User), of.Actor.Name, string(of.Actor.Token), of.Actor.Session, of.Actor.Address, of.Actor.Agent,
		of.Request, of.Action, of.Project, of.Subject, string(of.Outcome), of.Reason, string(of.Before), string(of.After), slices.Clone(e.hash[:]),
	}
}

// usualText is about the size of an entry.
const usualText = 1 << 10

// head is where the log ends and begins.
type head struct {
	end
	noted   end // what audit_head says of the end: entries up to there have been
	cutSeq  int64
	cutHash audit.Hash
}

// lockEnd keeps others from appending until the transaction ends.
func lockEnd(ctx context.Context, tx *db.Tx) error { return tx.Lock(ctx, "audit_head", 0) }

// lockedHead is the head, with the end locked.
func lockedHead(ctx context.Context, tx *db.Tx) (head, error) {
	if err := lockEnd(ctx, tx); err != nil {
		return head{}, err
	}
	h, err := readHead(ctx, tx) // by a statement of its own, which sees what was committed before the lock was had
	if !errors.Is(err, fault.ErrNotFound) {
		return h, err
	}
	none := make([]byte, len(audit.Hash{}))
	if _, err := tx.Exec(ctx, `INSERT INTO audit_head (id, seq, logged, hash, cut_seq, cut_hash) VALUES (0, 0, 0, ?, 0, ?) ON CONFLICT DO NOTHING`, none, none); err != nil {
		return head{}, err
	}
	if err := lockEnd(ctx, tx); err != nil {
		return head{}, err
	}
	return readHead(ctx, tx)
}

// readHead takes for the end the newest entry, or what audit_head says if that has been removed: its number is not given again.
func readHead(ctx context.Context, q db.Querier) (h head, err error) {
	var noted, cut, last []byte
	err = q.QueryRow(ctx, `SELECT h.seq, h.logged, h.hash, h.cut_seq, h.cut_hash, coalesce(a.seq, 0), coalesce(a.logged, 0), coalesce(a.hash, h.hash)
		FROM audit_head h LEFT JOIN audit a ON a.seq = (SELECT max(seq) FROM audit) WHERE h.id = 0`).
		Scan(&h.noted.seq, &h.noted.logged, &noted, &h.cutSeq, &cut, &h.seq, &h.logged, &last)
	copy(h.noted.hash[:], noted)
	copy(h.cutHash[:], cut)
	copy(h.hash[:], last)
	if h.seq < h.noted.seq {
		h.end = h.noted
	}
	return h, err
}

// noteEnd writes the end down in audit_head, by which a verification notices when the newest entries are gone.
func noteEnd(ctx context.Context, tx *db.Tx, at end) error {
	_, err := tx.Exec(ctx, `UPDATE audit_head SET seq = ?, logged = ?, hash = ? WHERE id = 0`, at.seq, at.logged, at.hash[:])
	return err
}
