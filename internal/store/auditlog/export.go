package auditlog

import (
	"context"

	"github.com/cotrain/cotrain/internal/audit"
)

// Export calls fn with the entries that match, oldest first, and the hash before each.
func (l *Log) Export(ctx context.Context, f audit.Filter, fn func(r Row, prev audit.Hash) error) error {
	head, err := l.Head(ctx)
	if err != nil {
		return err
	}
	prev := head.CutHash
	for at := head.CutSeq; ; {
		found, err := rows(ctx, l.db, at, readRows)
		if err != nil || len(found) == 0 {
			return err
		}
		for _, r := range found {
			if err := fn(r, prev); err != nil {
				return err
			}
			prev, at = r.Hash, r.Seq
		}
	}
}
