package auditlog

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Verification verifies the log part by part.
type Verification struct {
	log   *Log
	v     audit.Verifier
	begun bool
	at    int64 // the newest entry that was read
	text  []byte
}

// NewVerification begins at the log's first entry.
func (l *Log) NewVerification() *Verification { return &Verification{log: l} }

// Verdict is what was found so far.
func (c *Verification) Verdict() audit.Verdict { return c.v.Verdict() }

// Next reads up to n further entries, and reports whether it has reached the end of the log. It can be called again then, when
// there are more.
func (c *Verification) Next(ctx context.Context, n int) (done bool, err error) {
	for n > 0 && !done && err == nil {
		done, err = c.part(ctx, min(n, readRows))
		n -= readRows
	}
	if err != nil {
		return false, fmt.Errorf("verify the audit log: %w", err)
	}
	return done, nil
}

// part verifies what is read in one snapshot, with the end as it is there.
func (c *Verification) part(ctx context.Context, n int) (done bool, err error) {
	err = c.log.db.Read(ctx, func(tx *db.Snapshot) error {
		head, err := currentHead(ctx, tx)
		if err != nil {
			return err
		}
		if !c.begun || head.cutSeq > c.at {
			c.begun, c.at = true, head.cutSeq
			c.v.Begin(head.cutSeq, head.cutHash)
		}
		found, err := rows(ctx, tx, c.at, n)
		if err != nil {
			return err
		}
		noted := map[int64]audit.Hash{head.noted.seq: head.noted.hash}
		for _, r := range found {
			c.text = r.AppendCanonical(c.text[:0])
			link := audit.Link{Seq: r.Seq, Hash: r.Hash, Text: c.text}
			c.v.Add(link)
			c.v.Expect(link, noted)
			c.at = max(c.at, r.Seq)
		}
		if done = len(found) < n; done {
			c.v.End(head.seq, head.hash)
			c.at = max(c.at, head.seq)
		}
		return nil
	})
	return done, err
}
