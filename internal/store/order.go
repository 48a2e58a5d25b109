package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// textOrders are the orders of texts: what is compared, and the index that begins with it, after archived.
var textOrders = map[string]struct{ expression, index string }{
	"name": {"substr(lower(name), 1, 100)", "runs_by_name"}, "project": {"project", "runs_by_project"}, "owner": {"owner", "runs_by_owner"}, "model": {"preset", "runs_by_preset"},
}

// sorted finds the runs in an order other than newest first. Few runs are read and sorted. Of many it walks along an index of the order for
// a while, since most filters fill a page soon. Where that does not, PostgreSQL sorts all that match. SQLite takes longer for that: there all
// that match are picked out of the rest of the index, which PostgreSQL in turn could not read without the runs themselves.
func (l *lister) sorted(ctx context.Context) ([]run.Position, error) {
	if l.f.Sweep != "" {
		return l.sortAll(ctx, bySweep(l.f))
	}
	p, err := narrowest(ctx, l.tx, l.f, l.sizes.fewSorted)
	if err != nil {
		return nil, err
	}
	if p != nil {
		return l.sortAll(ctx, p)
	}
	if l.text != "" {
		if ids, err := l.findFew(ctx); err != nil || ids != nil {
			return ids, err
		}
	}
	if l.texts() {
		return l.alongTexts(ctx)
	}
	return l.alongValues(ctx, nil)
}

// texts reports whether the order is that of texts, or of IDs.
func (l *lister) texts() bool { return l.f.Order.By == "" || l.f.Order.Texts() }

// findFew sorts the runs that a search finds, if they are few, or returns nil.
func (l *lister) findFew(ctx context.Context) ([]run.Position, error) {
	queries := l.search(l.text, maxNumber, l.sizes.fewSorted)
	q := queries[len(queries)-1]
	found, err := db.Select(ctx, l.tx, db.One[run.ID], q.SQL, q.Args...)
	if err != nil || len(found) >= l.sizes.fewSorted {
		return nil, err
	}
	ids := []run.ID{}
	for some := range slices.Chunk(found, resolvedAtOnce) {
		matching, err := l.look(ctx, some, "")
		if err != nil {
			return nil, err
		}
		for _, r := range matching {
			ids = append(ids, r.id)
		}
	}
	return l.sortIDs(ctx, ids)
}

// sortAll has the database sort all that a path leads to.
func (l *lister) sortAll(ctx context.Context, p path) (out []run.Position, err error) {
	if !l.texts() {
		return l.alongValues(ctx, p)
	}
	way, compare := l.way()
	for _, s := range p {
		var args params
		text := cmp.Or(textOrders[l.f.Order.By].expression, `''`)
		if s.kind != "" && l.f.Order.By == "name" {
			text = "name" // labels have it as it is compared
		}
		all, where := l.all(&args, p, s, text), ""
		if l.f.After != nil {
			where = ` WHERE (value, id) ` + compare + ` (` + args.add(l.f.After.Text) + `, ` + args.add(l.f.After.ID) + `)`
		}
		some, err := db.Select(ctx, l.tx, scanText, `SELECT id, value FROM `+all+where+` ORDER BY value `+way+`, id `+way+` LIMIT `+args.add(l.f.Limit), args...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return l.page(out), nil
}

// all is a table of the IDs that a span of a path leads to, each with a value. Its limit keeps PostgreSQL from walking along another index
// instead, which has the order but reads what does not match.
func (l *lister) all(args *params, p path, s span, value string) string {
	conditions := matching
	if l.many {
		conditions = matchingAll
	}
	return `(SELECT id, ` + value + ` AS value FROM ` + s.from(args, l.within, conditions(args, l.text, p.unknown(l.f))) + ` ORDER BY id DESC LIMIT ` + args.add(maxNumber) + `) AS found`
}

// sortIDs sorts runs, and returns the page.
func (l *lister) sortIDs(ctx context.Context, ids []run.ID) ([]run.Position, error) {
	out := make([]run.Position, len(ids))
	at := make(map[run.ID]int, len(ids))
	for i, id := range ids {
		out[i], at[id] = run.Position{ID: id, None: !l.f.Order.Texts() && l.f.Order.By != ""}, i
	}
	set := func(found []run.Position) {
		for _, p := range found {
			if i, ok := at[p.ID]; ok {
				out[i] = p
			}
		}
	}
	if l.f.Order.By != "" && !l.f.Order.Texts() {
		live, err := l.underWay(ctx)
		if err != nil {
			return nil, err
		}
		set(live)
	}
	found, err := l.valuesOfAll(ctx, ids)
	if err != nil {
		return nil, err
	}
	set(found)
	return l.page(out), nil
}

// asOf is when durations of runs under way are taken, in Unix milliseconds: on each page as on the first, where the order says.
func (l *lister) asOf() int64 {
	if l.f.After != nil && l.f.After.AsOf > 0 {
		return l.f.After.AsOf
	}
	return l.now
}

// page sorts, and cuts what is on the page.
func (l *lister) page(all []run.Position) []run.Position {
	if l.f.Order.By == "duration" {
		for i := range all {
			all[i].AsOf = l.asOf()
		}
	}
	if l.f.After != nil {
		all = slices.DeleteFunc(all, func(p run.Position) bool { return l.f.Order.Compare(p, *l.f.After) <= 0 })
	}
	slices.SortFunc(all, l.f.Order.Compare)
	return all[:min(len(all), l.f.Limit)]
}

func scanText(row db.Scanner) (p run.Position, err error)  { return p, row.Scan(&p.ID, &p.Text) }
func scanValue(row db.Scanner) (p run.Position, err error) { return p, row.Scan(&p.ID, &p.Value) }

func scanMaybe(row db.Scanner) (p run.Position, err error) {
	var value sql.NullFloat64
	err = row.Scan(&p.ID, &value)
	p.Value, p.None = value.Float64, !value.Valid
	return p, err
}

// valuesOf reads what some runs, which need not be under way, are sorted by.
func (l *lister) valuesOf(ctx context.Context, ids []run.ID) ([]run.Position, error) {
	var args params
	list := args.list(anys(ids))
	if l.f.Order.By == "" {
		return nil, nil
	}
	if by, ok := textOrders[l.f.Order.By]; ok {
		return db.Select(ctx, l.tx, scanText, `SELECT id, `+by.expression+` FROM runs WHERE id IN (`+list+`)`, args...)
	}
	metric, of := resultOf(l.f.Order)
	// With IS NOT NULL PostgreSQL could prefer the index by value, and read all that have the metric.
	return db.Select(ctx, l.tx, scanMaybe, `SELECT run_id, `+of+` FROM run_results WHERE run_id IN (`+list+`) AND metric = `+args.add(metric), args...)
}

func (l *lister) valuesOfAll(ctx context.Context, ids []run.ID) (out []run.Position, err error) {
	for some := range slices.Chunk(ids, resolvedAtOnce) {
		found, err := l.valuesOf(ctx, some)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// underWay reads the values of matching runs that have started and not ended.
func (l *lister) underWay(ctx context.Context) ([]run.Position, error) {
	var args params
	value := liveValue(l.f.Order, &args, l.asOf())
	terms := []string{`started_at > 0`, `ended_at = 0`}
	for _, c := range facets(l.f) {
		terms = append(terms, c.sql(&args))
	}
	if l.f.Sweep != "" {
		terms = append(terms, `sweep = `+args.add(l.f.Sweep))
	}
	terms = append(terms, `id >= `+args.add(l.within.from), `id < `+args.add(l.within.below))
	terms = append(terms, matching(&args, l.text, labels(l.f))...)
	return db.Select(ctx, l.tx, scanValue, `SELECT id, value FROM (SELECT id, `+value+` AS value FROM runs INDEXED BY runs_under_way WHERE `+strings.Join(terms, ` AND `)+`) AS live WHERE value IS NOT NULL`, args...)
}

// liveValue is the value of a run under way.
func liveValue(o run.Order, args *params, now int64) string {
	switch o.By {
	case "step":
		return `CASE WHEN progress_at > 0 THEN CAST(step AS DOUBLE PRECISION) END`
	case "loss":
		return `CASE WHEN has_loss = 1 THEN loss END`
	case "throughput":
		return `CASE WHEN tokens_per_sec > 0 THEN tokens_per_sec END`
	case "duration":
		return `CAST(` + args.add(now) + ` - started_at AS DOUBLE PRECISION) / 1000`
	case "metric":
		return `(SELECT m.` + o.Of + ` FROM run_metrics m WHERE m.run_id = runs.id AND m.metric = ` + args.add(o.Metric) + `)`
	}
	return `NULL`
}

// resultOf is where the value that ended runs are sorted by is in run_results: its metric, and its column; see [points.SaveResults].
func resultOf(o run.Order) (metric, of string) {
	if o.By == "metric" {
		return o.Metric, o.Of
	}
	return " " + o.By, "last"
}

// alongTexts walks along an index that begins with a text, or with the ID. Where that takes too long, runs with one label are sorted, which
// the label's own rows suffice for.
func (l *lister) alongTexts(ctx context.Context) ([]run.Position, error) {
	spans := byProject(l.f)
	if by, ok := textOrders[l.f.Order.By]; ok {
		spans = along(l.f, by.index)
	}
	most, ofLabel := l.sizes.lookedAt, len(labels(l.f)) == 1 && l.text == ""
	if ofLabel {
		most = 1
	}
	out, found, err := l.walkOrder(ctx, most, func(last *run.Position, n int) ([]run.Position, error) { return l.readTexts(ctx, spans, last, n) })
	if err == nil && !found {
		if l.many = l.sorts; ofLabel || l.many {
			return l.sortAll(ctx, broad(l.f))
		}
		out, err = l.pickTexts(ctx, spans)
	}
	return l.page(out), err
}

// readTexts reads up to n of the runs that spans lead to, after one, in the order of an index.
func (l *lister) readTexts(ctx context.Context, spans path, last *run.Position, n int) (out []run.Position, err error) {
	for _, s := range spans {
		var args params
		from := l.textsFrom(&args, s, last)
		some, err := db.Select(ctx, l.tx, scanText, `SELECT id, `+cmp.Or(textOrders[l.f.Order.By].expression, `''`)+from+` LIMIT `+args.add(n), args...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	slices.SortFunc(out, l.f.Order.Compare)
	return out[:min(len(out), n)], nil
}

// textsFrom selects what a span leads to after one, in the order of its index.
func (l *lister) textsFrom(args *params, s span, last *run.Position) string {
	way, compare := l.way()
	by, ok := textOrders[l.f.Order.By]
	var terms []string
	order := `id ` + way
	if ok {
		order = by.expression + ` ` + way + `, ` + order
	}
	switch {
	case last == nil:
	case ok:
		terms = append(terms, `(`+by.expression+`, id) `+compare+` (`+args.add(last.Text)+`, `+args.add(last.ID)+`)`)
	default:
		terms = append(terms, `id `+compare+` `+args.add(last.ID))
	}
	return ` FROM ` + s.from(args, l.within, terms) + ` ORDER BY ` + order
}

// way is the direction of the order, and how what comes later in it compares.
func (l *lister) way() (way, compare string) {
	if l.f.Order.Up {
		return "ASC", ">"
	}
	return "DESC", "<"
}

// alongValues walks along the values of ended runs, or sorts those that a path leads to, merges those of runs under way, and ends with the
// runs that have none.
func (l *lister) alongValues(ctx context.Context, p path) ([]run.Position, error) {
	all, err := l.underWay(ctx)
	if err != nil {
		return nil, err
	}
	live := map[run.ID]bool{}
	for _, p := range all {
		live[p.ID] = true
	}
	if l.f.After == nil || !l.f.After.None {
		var ended []run.Position
		found := false
		if p == nil {
			if ended, found, err = l.walkOrder(ctx, l.sizes.lookedAt, l.values(ctx)); err == nil && !found {
				if l.many = l.sorts; l.many {
					ended, err = l.sortValues(ctx, broad(l.f))
				} else {
					ended, err = l.pickValues(ctx)
				}
			}
		} else {
			ended, err = l.sortValues(ctx, p)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, ended...)
	}
	all = l.page(all)
	if len(all) == l.f.Limit {
		return all, nil
	}
	none, err := l.withoutValue(ctx, p, live, l.f.Limit-len(all))
	return append(all, none...), err
}

// sortValues sorts the ended runs that a path leads to by their values, and returns a page of them.
func (l *lister) sortValues(ctx context.Context, p path) (out []run.Position, err error) {
	metric, of := resultOf(l.f.Order)
	way, compare := l.way()
	for _, s := range p {
		var args params
		value := `(SELECT v.` + of + ` FROM run_results v WHERE v.run_id = runs.id AND v.metric = ` + args.add(metric) + `)`
		all, terms := l.all(&args, p, s, value), `value IS NOT NULL`
		if l.f.After != nil {
			terms += ` AND (value, id) ` + compare + ` (` + args.add(l.f.After.Value) + `, ` + args.add(l.f.After.ID) + `)`
		}
		some, err := db.Select(ctx, l.tx, scanValue, `SELECT id, value FROM `+all+` WHERE `+terms+` ORDER BY value `+way+`, id `+way+` LIMIT `+args.add(l.f.Limit), args...)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

// values reads along the index of ended runs' values.
func (l *lister) values(ctx context.Context) func(last *run.Position, n int) ([]run.Position, error) {
	_, of := resultOf(l.f.Order)
	return func(last *run.Position, n int) ([]run.Position, error) {
		var args params
		from := l.valuesFrom(&args, last)
		return db.Select(ctx, l.tx, scanValue, `SELECT run_id, `+of+from+` LIMIT `+args.add(n), args...)
	}
}

// valuesFrom selects the values of ended runs after one, in the order of their index.
func (l *lister) valuesFrom(args *params, last *run.Position) string {
	metric, of := resultOf(l.f.Order)
	way, compare := l.way()
	terms := []string{`metric = ` + args.add(metric), of + ` IS NOT NULL`}
	if last != nil {
		terms = append(terms, `(`+of+`, run_id) `+compare+` (`+args.add(last.Value)+`, `+args.add(last.ID)+`)`)
	}
	return ` FROM run_results INDEXED BY run_results_by_` + of + ` WHERE ` + strings.Join(terms, ` AND `) + ` ORDER BY ` + of + ` ` + way + `, run_id ` + way
}

// withoutValue finds up to n of the runs that have none, newest first, on a path or else the broad one.
func (l *lister) withoutValue(ctx context.Context, p path, live map[run.ID]bool, n int) (out []run.Position, err error) {
	before := l.within.below
	if l.f.After != nil && l.f.After.None {
		before = min(before, l.f.After.ID)
	}
	metric, of := resultOf(l.f.Order)
	if p == nil {
		p = broad(l.f)
	}
	next := l.walk(p, func(args *params) string {
		return `(SELECT v.` + of + ` FROM run_results v WHERE v.run_id = runs.id AND v.metric = ` + args.add(metric) + `) IS NULL`
	})
	for more := true; more && len(out) < n; {
		var batch []listed
		if batch, before, more, err = next(ctx, before, n+len(live)); err != nil {
			return nil, err
		}
		for _, r := range batch {
			if !live[r.id] && len(out) < n {
				out = append(out, run.Position{ID: r.id, None: true})
			}
		}
	}
	return out, nil
}
