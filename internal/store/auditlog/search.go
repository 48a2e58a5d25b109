package auditlog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

const (
	// maxPage is the most rows of a page.
	maxPage = 1000
	// patience is how many rows a search reads, and patientFor about how long.
	patience   = 10_000
	patientFor = 100 * time.Millisecond
	// maxGroups is how many groups are asked for terms at once; the first is asked alone.
	maxGroups = 64
	// walkRows is how many rows are read at once where all may match.
	walkRows = 500
)

// Search returns the newest entries that match.
func (l *Log) Search(ctx context.Context, f audit.Filter) (p audit.Page, err error) {
	if !f.AllProjects && len(f.Projects) == 0 {
		return audit.Page{}, nil
	}
	s := searcher{began: time.Now(), f: f, limit: min(max(f.Limit, 1), maxPage), terms: sought(f)}
	s.where, s.args = conditions(f)
	err = l.db.Read(ctx, func(tx *db.Snapshot) error {
		s.tx = tx
		return s.search(ctx)
	})
	if err != nil {
		return audit.Page{}, fmt.Errorf("search the audit log: %w", err)
	}
	return s.page, nil
}

// conditions are those of a filter that the database can judge.
func conditions(f audit.Filter) (where string, args []any) {
	for _, c := range []struct{ column, value string }{
		{"name", f.Actor}, {"action", f.Action}, {"subject", f.Subject}, {"address", f.Address}, {"outcome", string(f.Outcome)},
	} {
		if c.value != "" {
			where += ` AND ` + c.column + ` = ?`
			args = append(args, c.value)
		}
	}
	for _, w := range tellingFirst(audit.Words(f.Text)) {
		if isASCII(w) {
			where += ` AND instr(lower(` + everyText + `), ?) > 0`
			args = append(args, w)
		}
	}
	if !f.AllProjects {
		where += ` AND project IN (?` + strings.Repeat(`,?`, len(f.Projects)-1) + `)`
		for _, p := range f.Projects {
			args = append(args, p)
		}
	}
	return where, args
}

// everyText is what the words of an entry are taken from.
const everyText = `name || ' ' || subject || ' ' || project || ' ' || action || ' ' || address || ' ' || request || ' ' || outcome || ' ' || reason || ' ' || token || ' ' || after_value || before_value`

// isASCII reports whether both databases have the same lower case for a text.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII })
}

// tellingFirst sorts words by how few entries may have them: those with digits, then the longer ones.
func tellingFirst(words []string) []string {
	score := func(w string) int {
		if strings.ContainsAny(w, "0123456789") {
			return -1000 - len(w)
		}
		return -len(w)
	}
	slices.SortStableFunc(words, func(a, b string) int { return score(a) - score(b) })
	return words
}

// searcher is one search.
type searcher struct {
	tx    *db.Snapshot
	f     audit.Filter
	limit int
	terms [][]term
	where string
	args  []any

	began time.Time
	read  int // rows, of whatever kind
	page  audit.Page
}

func (s *searcher) search(ctx context.Context) error {
	low, high, err := bounds(ctx, s.tx, s.f)
	if err != nil || low > high {
		return err
	}
	indexed, err := mark(ctx, s.tx, indexMark)
	if err != nil {
		return err
	}
	if len(s.terms) == 0 {
		indexed = 0
	}
	at, err := s.walk(ctx, max(low, indexed+1), high)
	if err != nil || s.enough() {
		return s.end(ctx, at, low, err)
	}
	at, err = s.find(ctx, low, min(high, indexed))
	return s.end(ctx, at, low, err)
}

// enough reports whether the search is over.
func (s *searcher) enough() bool {
	return len(s.page.Rows) > s.limit || s.read >= patience || s.read > 0 && time.Since(s.began) > patientFor
}

// end makes the page of what was found above a row.
func (s *searcher) end(ctx context.Context, at, low int64, err error) error {
	if err != nil {
		return err
	}
	if len(s.page.Rows) > s.limit {
		s.page.Rows = s.page.Rows[:s.limit]
		at = s.page.Rows[s.limit-1].Seq
	}
	if at <= low {
		return nil
	}
	s.page.Next = at
	s.page.Back, err = loggedAt(ctx, s.tx, at)
	return err
}

// walk reads rows from high down to low, and returns how far it has come.
func (s *searcher) walk(ctx context.Context, low, high int64) (at int64, err error) {
	n := int64(s.limit + 1)
	for at = high + 1; at > low && !s.enough(); n = min(2*n, walkRows) {
		from := max(low, at-n)
		if err := s.between(ctx, from, at-1); err != nil {
			return at, err
		}
		at = from
	}
	return at, nil
}

// between adds the rows of a range that match.
func (s *searcher) between(ctx context.Context, from, to int64) error {
	found, err := db.Select(ctx, s.tx, scanRow, `SELECT `+columns+` FROM audit WHERE seq >= ? AND seq <= ?`+s.where+` ORDER BY seq DESC`, append([]any{from, to}, s.args...)...)
	if err != nil {
		return err
	}
	for _, r := range found {
		if s.f.Matches(r.Entry) {
			s.page.Rows = append(s.page.Rows, r)
		}
	}
	s.read += int(to - from + 1)
	return nil
}

// find reads the blocks between two rows that have all terms, from the newest.
func (s *searcher) find(ctx context.Context, low, high int64) (at int64, err error) {
	at = high + 1
	for group, n := groupOf(blockOf(high)), int64(1); group >= groupOf(blockOf(low)) && high >= low; n = min(2*n, maxGroups) {
		last := max(group-n+1, groupOf(blockOf(low)))
		blocks, err := s.blocks(ctx, last, group)
		if err != nil {
			return at, err
		}
		for _, b := range blocks {
			from, to := max(low, b*blockRows), min(high, b*blockRows+blockRows-1)
			if from > to {
				continue
			}
			if s.enough() {
				return at, nil
			}
			if err := s.between(ctx, from, to); err != nil {
				return at, err
			}
			at = from
		}
		at, group = max(low, last*groupRows), last-1
	}
	return at, nil
}

// blocks returns the blocks of some groups in which all terms occur, newest first.
func (s *searcher) blocks(ctx context.Context, from, to int64) ([]int64, error) {
	var all map[int64]struct{}
	groups := map[int64]bool{} // of all
	for _, either := range s.terms {
		var places []any
		for group := from; group <= to; group++ {
			if all != nil && !groups[group] {
				continue
			}
			for _, t := range either {
				places = append(places, t.place(group))
			}
		}
		have := map[int64]struct{}{}
		for some := range slices.Chunk(places, 500) {
			found, err := db.Select(ctx, s.tx, db.One[int64], `SELECT block FROM audit_terms WHERE place IN (?`+strings.Repeat(`,?`, len(some)-1)+`)`, some...)
			if err != nil {
				return nil, err
			}
			for _, b := range found {
				if _, both := all[b]; all == nil || both {
					have[b] = struct{}{}
				}
			}
		}
		if all = have; len(all) == 0 {
			return nil, nil
		}
		clear(groups)
		for b := range all {
			groups[groupOf(b)] = true
		}
	}
	out := slices.Sorted(maps.Keys(all))
	slices.Reverse(out)
	return out, nil
}

// bounds returns the first and the last row that a filter may match.
func bounds(ctx context.Context, q db.Querier, f audit.Filter) (low, high int64, err error) {
	head, err := currentHead(ctx, q)
	if err != nil {
		return 0, 0, err
	}
	low, high = head.cutSeq+1, head.seq
	if f.Before > 0 {
		high = min(high, f.Before-1)
	}
	if !f.Until.IsZero() {
		first, err := firstLogged(ctx, q, low, high, f.Until)
		if err != nil {
			return 0, 0, err
		}
		high = first - 1
	}
	if !f.Since.IsZero() {
		low, err = firstLogged(ctx, q, low, high, f.Since)
	}
	return low, high, err
}

// firstLogged returns the first row of a range that was logged at a time or later, the one after the range if there is none.
// That times never fall makes an index of them unnecessary.
func firstLogged(ctx context.Context, q db.Querier, low, high int64, t time.Time) (int64, error) {
	var failed error
	n := sort.Search(int(max(high-low+1, 0)), func(i int) bool {
		at, err := loggedAt(ctx, q, low+int64(i))
		if err != nil {
			failed = err
		}
		return !at.Before(t)
	})
	return low + int64(n), failed
}

func loggedAt(ctx context.Context, q db.Querier, seq int64) (time.Time, error) {
	var at int64
	err := q.QueryRow(ctx, `SELECT logged FROM audit WHERE seq >= ? ORDER BY seq LIMIT 1`, seq).Scan(&at)
	return db.FromMillis(at), err
}
