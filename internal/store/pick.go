package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// Chunks in which an index of an order is read for those of a set: a page of what is frequent is in the first.
const (
	firstChunk  = 250
	largerBy    = 8
	widestChunk = 100_000
)

// walkOrder reads along an index of the order and keeps the runs that match until there are enough; found is false where there are not
// among so many: see [lister.pickTexts] and [lister.pickValues] for those.
func (l *lister) walkOrder(ctx context.Context, most int, read func(last *run.Position, n int) ([]run.Position, error)) (out []run.Position, found bool, err error) {
	after, looked := l.f.After, 0
	for n := min(2*l.f.Limit, resolvedAtOnce); looked < most; n = resolvedAtOnce {
		batch, err := read(after, n)
		if err != nil {
			return nil, false, err
		}
		some, err := l.keep(ctx, batch)
		if err != nil {
			return nil, false, err
		}
		if out = append(out, some...); len(out) >= l.f.Limit || len(batch) < n {
			return out, true, nil
		}
		after, looked = &batch[n-1], looked+n
	}
	return nil, false, nil
}

// keep returns the positions of runs that match.
func (l *lister) keep(ctx context.Context, batch []run.Position) (out []run.Position, err error) {
	for some := range slices.Chunk(batch, resolvedAtOnce) {
		ids := make([]run.ID, len(some))
		at := make(map[run.ID]run.Position, len(some))
		for i, p := range some {
			ids[i], at[p.ID] = p.ID, p
		}
		found, err := l.look(ctx, ids, l.text)
		if err != nil {
			return nil, err
		}
		for _, r := range found {
			out = append(out, at[r.id])
		}
	}
	return out, nil
}

// pickTexts finds the runs that match in each of the spans of an index of texts.
func (l *lister) pickTexts(ctx context.Context, spans path) ([]run.Position, error) {
	all, err := l.every(ctx)
	if err != nil {
		return nil, err
	}
	var ids []run.ID
	for _, s := range spans {
		some, err := l.pick(ctx, all, func(args *params) string { return `SELECT id` + l.textsFrom(args, s, l.f.After) })
		if err != nil {
			return nil, err
		}
		ids = append(ids, some...)
	}
	return l.sortIDs(ctx, ids)
}

// pickValues finds the ended runs that match along the index of their values.
func (l *lister) pickValues(ctx context.Context) ([]run.Position, error) {
	all, err := l.every(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := l.pick(ctx, all, func(args *params) string { return `SELECT run_id AS id` + l.valuesFrom(args, l.f.After) })
	if err != nil {
		return nil, err
	}
	return l.valuesOfAll(ctx, ids)
}

// every returns all runs that match, sorted.
func (l *lister) every(ctx context.Context) (out []string, err error) {
	p := broad(l.f)
	unbounded := l.f.Archived == run.WithArchived && len(facets(l.f)) == 1 && l.within == bounds{below: afterAll}
	textAlone := l.text != "" && len(labels(l.f)) == 0 && unbounded // which leads to all of its runs
	if !textAlone {
		for some := range slices.Chunk(p, spansAtOnce) {
			var args params
			parts := make([]string, len(some))
			for i, s := range some {
				parts[i] = `SELECT id FROM ` + s.from(&args, l.within, nil)
			}
			ids, err := l.joined(ctx, strings.Join(parts, ` UNION ALL `), args)
			if err != nil {
				return nil, err
			}
			out = append(out, ids...)
		}
		sortIDs(out)
	}
	with := func(query string, args ...any) {
		if err != nil || !textAlone && len(out) == 0 {
			return
		}
		var ids []string
		ids, err = l.joined(ctx, query, args)
		if sortIDs(ids); textAlone {
			out = ids
			return
		}
		out = both(out, ids)
	}
	for _, label := range p.unknown(l.f) {
		with(`SELECT run_id AS id FROM run_labels WHERE kind = ?1 AND label = ?2`, label.kind, label.text)
	}
	if l.text != "" {
		with(`SELECT id FROM run_texts WHERE instr(text, ?1) > 0`, l.text)
	}
	return out, err
}

// sortIDs sorts what mostly is sorted already.
func sortIDs(ids []string) {
	if !slices.IsSorted(ids) {
		slices.Sort(ids)
	}
}

// both keeps of sorted IDs those that others have too.
func both(ids, others []string) []string {
	i := 0
	return slices.DeleteFunc(ids, func(id string) bool {
		for i < len(others) && others[i] < id {
			i++
		}
		return i == len(others) || others[i] != id
	})
}

// pick reads along an index until it has a page of some runs, or all of them.
func (l *lister) pick(ctx context.Context, of []string, read func(*params) string) (out []run.ID, err error) {
	wanted := make(map[string]bool, len(of))
	for _, id := range of {
		wanted[id] = true
	}
	left := len(of)
	for n, offset := firstChunk, 0; left > 0; n, offset = min(n*largerBy, widestChunk), offset+n {
		var args params
		query := read(&args) + fmt.Sprintf(` LIMIT %d OFFSET %d`, n, offset) // no parameters: PostgreSQL would plan for a tenth of the runs, and sort
		ids, err := l.joined(ctx, query, args)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if !wanted[id] {
				continue
			}
			if out, left = append(out, run.ID(id)), left-1; len(out) == l.f.Limit {
				return out, nil
			}
		}
		if len(ids) < n {
			break
		}
	}
	return out, nil
}

// joined reads IDs as one value, which takes a tenth of what as many rows take.
func (l *lister) joined(ctx context.Context, query string, args []any) ([]string, error) {
	var ids string
	if err := l.tx.QueryRow(ctx, `SELECT coalesce(string_agg(id, ','), '') FROM (`+query+`) AS every`, args...).Scan(&ids); err != nil || ids == "" {
		return nil, err
	}
	return strings.Split(ids, ","), nil
}
