package auditlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store/db"
)

// The index says for each term in which blocks of rows it occurs. It is ordered by group, a larger piece of the log, then by
// term: so it grows at its end, a search asks each group for a term, and what is frequent is found in the newest group. Both
// databases have it alike, and keep it small: a frequent term has one row a block.
const (
	blockRows   = 256
	groupBlocks = 256
	groupRows   = blockRows * groupBlocks
	hashBits    = 40

	fnvOffset uint64 = 14695981039346656037
	fnvPrime  uint64 = 1099511628211
)

func blockOf(seq int64) int64   { return seq / blockRows }
func groupOf(block int64) int64 { return block / groupBlocks }

// term is what rows are looked up by, hashed: others may have the same hash, so rows are compared again.
type term int64

// termOf is FNV-1a, which is stored.
func termOf(kind, value string) term {
	h := fnvOffset
	for _, s := range [...]string{kind, "\x00", value} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * fnvPrime
		}
	}
	return term(h >> (64 - hashBits))
}

func (t term) place(group int64) int64 { return group<<hashBits | int64(t) }

// field is what rows are filtered by, beside their words; fields are in the order of how few rows most likely have them.
type field struct{ kind, value string }

func fields(actor, action, project, address string, outcome audit.Outcome) []field {
	if outcome == audit.Done {
		outcome = "" // nearly all
	}
	return []field{{"address", address}, {"outcome", string(outcome)}, {"actor", actor}, {"project", project}, {"action", action}}
}

// terms returns a term for each field that is set, and for each pair: two values that are frequent may never meet. An address
// goes with an outcome only, since whoever is there says the rest.
func terms(fields []field) (single, pairs []term) {
	for i, f := range fields {
		if f.value == "" {
			continue
		}
		single = append(single, termOf(f.kind, f.value))
		for _, g := range fields[:i] {
			if g.value != "" && (g.kind != "address" || f.kind == "outcome") {
				pairs = append(pairs, termOf(g.kind+"+"+f.kind, g.value+"\x00"+f.value))
			}
		}
	}
	return single, pairs
}

func words(of []string) (out []term) {
	for _, w := range of {
		out = append(out, termOf("w", w))
	}
	return out
}

// termsOf are the terms of an entry.
func termsOf(e audit.Entry) []term {
	single, pairs := terms(fields(e.Actor.Name, e.Action, e.Project, e.Actor.Address, e.Outcome))
	return slices.Concat(single, pairs, words(e.Words()))
}

// sought are the terms of a filter, the most telling first: an entry has one at least of each list.
func sought(f audit.Filter) (all [][]term) {
	project := ""
	if !f.AllProjects && len(f.Projects) == 1 {
		project = f.Projects[0]
	}
	single, pairs := terms(fields(f.Actor, f.Action, project, f.Address, f.Outcome))
	_, subject, _ := strings.Cut(f.Subject, ":")
	for _, t := range slices.Concat(words(audit.Words(subject)), pairs, words(tellingFirst(audit.Words(f.Text))), single) {
		all = append(all, []term{t})
	}
	if !f.AllProjects && project == "" {
		var either []term
		for _, p := range f.Projects {
			either = append(either, termOf("project", p))
		}
		all = append(all, either)
	}
	return all
}

const indexMark = "index"

// mark returns how far something is, 0 at its start.
func mark(ctx context.Context, q db.Querier, name string) (seq int64, err error) {
	err = q.QueryRow(ctx, `SELECT seq FROM audit_marks WHERE name = ?`, name).Scan(&seq)
	if errors.Is(err, fault.ErrNotFound) {
		err = nil
	}
	return seq, err
}

func setMark(ctx context.Context, tx *db.Tx, name string, seq int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_marks (name, seq) VALUES (?,?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq`, name, seq)
	return err
}

// indexedAtOnce is the rows of one transaction.
const indexedAtOnce = 32 * blockRows

// Index indexes the next rows, if they fill a block, and reports whether there are more. Until then a search reads them. It also
// notes the end of the log, if changes have moved it.
func (l *Log) Index(ctx context.Context) (more bool, err error) {
	var upTo, last int64
	var moved bool
	var places, blocks []int64
	err = l.db.Read(ctx, func(tx *db.Snapshot) error {
		head, err := currentHead(ctx, tx)
		if err != nil {
			return err
		}
		moved = head.seq > head.noted.seq
		at, err := mark(ctx, tx, indexMark)
		if err != nil {
			return err
		}
		at = max(at, head.cutSeq)
		last = blockOf(head.seq+1)*blockRows - 1 // of the last block that is full
		if upTo = min(last, at+indexedAtOnce); upTo <= at {
			upTo = 0
			return nil
		}
		found, err := rows(ctx, tx, at, int(upTo-at))
		if err != nil {
			return err
		}
		places, blocks = postings(found)
		return nil
	})
	if err != nil || upTo == 0 && !moved {
		return false, err
	}
	err = l.db.Write(ctx, func(tx *db.Tx) error {
		if moved {
			head, err := lockedHead(ctx, tx)
			if err != nil {
				return err
			}
			if err := noteEnd(ctx, tx, head.end); err != nil {
				return err
			}
		}
		if upTo == 0 {
			return nil
		}
		if len(places) > 0 {
			err := tx.InsertRows(ctx, "audit_terms", []db.Column{{Name: "place", Ints: places}, {Name: "block", Ints: blocks}}, ` ON CONFLICT DO NOTHING`)
			if err != nil {
				return err
			}
		}
		return setMark(ctx, tx, indexMark, upTo)
	})
	if err != nil {
		return false, fmt.Errorf("index the audit log: %w", err)
	}
	return upTo < last, nil
}

// postings returns where the terms of rows occur, in the order of the index.
func postings(found []audit.Row) (places, blocks []int64) {
	type posting struct{ place, block int64 }
	var all []posting
	var of int64
	seen := map[term]struct{}{} // in the block
	for _, r := range found {
		block := blockOf(r.Seq)
		if block != of {
			clear(seen)
			of = block
		}
		for _, t := range termsOf(r.Entry) {
			if _, known := seen[t]; !known {
				seen[t] = struct{}{}
				all = append(all, posting{t.place(groupOf(block)), block})
			}
		}
	}
	slices.SortFunc(all, func(a, b posting) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.block, b.block)) })
	for _, p := range all {
		places, blocks = append(places, p.place), append(blocks, p.block)
	}
	return places, blocks
}
