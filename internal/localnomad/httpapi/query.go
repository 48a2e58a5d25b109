package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-bexpr"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// Bounds of a blocking query's wait, as on a Nomad server.
const (
	defaultWait = 300 * time.Second
	maxWait     = 600 * time.Second
)

// query is the options that every read takes.
type query struct {
	prefix, filter string
	perPage        int
	minIndex       uint64
	wait           time.Duration
	// one and all say whether the query's namespace shows an object of the only one there is, and lists of them.
	one, all bool
}

func parseQuery(r *http.Request) (query, error) {
	v := r.URL.Query()
	ns := v.Get("namespace")
	q := query{prefix: v.Get("prefix"), filter: v.Get("filter"), one: ns == "" || ns == api.DefaultNamespace}
	q.all = q.one || ns == api.AllNamespacesNamespace
	var err error
	if text := v.Get("per_page"); text != "" {
		if q.perPage, err = strconv.Atoi(text); err != nil {
			return q, badRequest("Expect a number for `per_page` query string parameter")
		}
	}
	if text := v.Get("wait"); text != "" {
		if q.wait, err = time.ParseDuration(text); err != nil {
			return q, badRequest("Invalid wait time")
		}
	}
	if text := v.Get("index"); text != "" {
		if q.minIndex, err = strconv.ParseUint(text, 10, 64); err != nil {
			return q, badRequest("Invalid index")
		}
	}
	return q, nil
}

// boolParam reads a boolean query parameter; otherwise is for one that is absent or is none.
func boolParam(r *http.Request, name string, otherwise bool) bool {
	v, err := strconv.ParseBool(r.URL.Query().Get(name))
	if err != nil {
		return otherwise
	}
	return v
}

// block answers a read: at once without an index, else when the answer's index is above it or the wait is over. The answer
// may hold stored objects, which never change.
func block[T any](ctx context.Context, s *state.Store, q query, table state.Table, read func(t *state.Tables) (T, uint64)) (answer T, index uint64) {
	wait := q.wait
	if wait <= 0 {
		wait = defaultWait
	}
	timer := time.NewTimer(min(wait, maxWait))
	defer timer.Stop()
	for {
		var changed <-chan struct{}
		s.View(func(t *state.Tables) {
			changed = t.Changed(table)
			answer, index = read(t)
		})
		if q.minIndex == 0 || index > q.minIndex {
			return answer, index
		}
		select {
		case <-changed:
		case <-timer.C:
			return answer, index
		case <-ctx.Done():
			return answer, index
		}
	}
}

// one answers a read of one object; find returns it with its index, or nil.
func one[T any](a *API, w http.ResponseWriter, r *http.Request, table state.Table, missing string, find func(t *state.Tables, q query) (*T, uint64)) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := block(r.Context(), a.Store, q, table, func(t *state.Tables) (*T, uint64) {
		if obj, index := find(t, q); obj != nil {
			return obj, index
		}
		return nil, t.Index(table)
	})
	setIndex(w, index)
	if obj == nil {
		return nil, notFound("%s", missing)
	}
	return obj, nil
}

// list answers a list: of what find returns, what the filter keeps, cut to the page, shown as stubs.
func list[T, S any](a *API, w http.ResponseWriter, r *http.Request, table state.Table, find func(t *state.Tables, q query) []T, stub func(T) S) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	var filter *bexpr.Evaluator
	if q.filter != "" {
		if filter, err = bexpr.CreateEvaluator(q.filter); err != nil {
			return nil, badRequest("failed to read filter expression: %v", err)
		}
	}
	items, index := block(r.Context(), a.Store, q, table, func(t *state.Tables) ([]T, uint64) { return find(t, q), t.Index(table) })
	out := []S{}
	for _, item := range items {
		if q.perPage > 0 && len(out) == q.perPage {
			break
		}
		if filter != nil {
			keep, err := filter.Evaluate(item)
			if err != nil {
				return nil, badRequest("failed to read result page: %v", err)
			}
			if !keep {
				continue
			}
		}
		out = append(out, stub(item))
	}
	setIndex(w, index)
	return out, nil
}

// matching returns a table's objects in the order of their IDs, those that the query's prefix and namespace let be seen.
func matching[T any](m map[string]T, q query) []T {
	if !q.all {
		return nil
	}
	keys := state.Keys(m, q.prefix)
	out := make([]T, 0, len(keys))
	for _, k := range keys {
		out = append(out, m[k])
	}
	return out
}
