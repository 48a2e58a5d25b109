package auditlog

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

// exportRows is how many rows an export looks at in one query.
const exportRows = 2000

// Export calls fn with all entries that match, oldest first, and the hash before each.
func (l *Log) Export(ctx context.Context, f audit.Filter, fn func(r audit.Row, prev audit.Hash) error) error {
	if !f.AllProjects && len(f.Projects) == 0 {
		return nil
	}
	low, high, err := bounds(ctx, l.db, f)
	if err != nil {
		return fmt.Errorf("export the audit log: %w", err)
	}
	where, args := conditions(f)
	for ; low <= high; low += exportRows {
		found, err := db.Select(ctx, l.db, scanWithPrev, `SELECT (SELECT hash FROM audit p WHERE p.seq = audit.seq - 1), `+columns+` FROM audit WHERE seq >= ? AND seq <= ?`+where+` ORDER BY seq`,
			append([]any{low, min(high, low+exportRows-1)}, args...)...)
		if err != nil {
			return fmt.Errorf("export the audit log: %w", err)
		}
		for _, r := range found {
			if !f.Matches(r.Entry) {
				continue
			}
			if r.prev == nil { // the first
				head, err := l.Head(ctx)
				if err != nil {
					return err
				}
				r.prev = head.CutHash[:]
			}
			if err := fn(r.Row, audit.Hash(r.prev)); err != nil {
				return err
			}
		}
	}
	return nil
}

type withPrev struct {
	audit.Row
	prev []byte
}

func scanWithPrev(s db.Scanner) (r withPrev, err error) {
	r.Row, err = scanRow(scanFirst{s, &r.prev})
	return r, err
}

// scanFirst scans a first column into first.
type scanFirst struct {
	db.Scanner
	first any
}

func (s scanFirst) Scan(into ...any) error { return s.Scanner.Scan(append([]any{s.first}, into...)...) }
