package localnomad

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

// Bounds of a blocking query's wait, as on a Nomad server.
const (
	defaultWait = 300 * time.Second
	maxWait     = 600 * time.Second
)

// query is the options every read takes.
type query struct {
	namespace string
	prefix    string
	filter    string
	perPage   int
	nextToken string
	reverse   bool
	minIndex  uint64
	wait      time.Duration
}

func parseQuery(r *http.Request) (query, error) {
	v := r.URL.Query()
	q := query{
		namespace: v.Get("namespace"), prefix: v.Get("prefix"), filter: v.Get("filter"),
		nextToken: v.Get("next_token"), reverse: v.Get("reverse") == "true",
	}
	if q.namespace == "" {
		q.namespace = defaultNamespace
	}
	if text := v.Get("stale"); text != "" {
		if _, err := strconv.ParseBool(text); err != nil {
			return q, codedError{http.StatusBadRequest, "Expect `true` or `false` for `stale` query string parameter"}
		}
	}
	if text := v.Get("per_page"); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return q, codedError{http.StatusBadRequest, "Expect a number for `per_page` query string parameter"}
		}
		q.perPage = int(n)
	}
	if text := v.Get("wait"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			return q, codedError{http.StatusBadRequest, "Invalid wait time"}
		}
		q.wait = d
	}
	if text := v.Get("index"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return q, codedError{http.StatusBadRequest, "Invalid index"}
		}
		q.minIndex = n
	}
	return q, nil
}

// block answers a read: at once with minIndex 0, else when the answer's index
// is above it or the wait is over. read runs under the store's lock, so that
// the answer and its index belong together; it may keep stored objects, which
// never change.
func (s *Server) block(ctx context.Context, q query, tables []table, read func() (any, uint64)) (any, uint64) {
	deadline := q.wait
	if deadline <= 0 {
		deadline = defaultWait
	}
	timer := time.NewTimer(min(deadline, maxWait))
	defer timer.Stop()
	for {
		var (
			answer any
			index  uint64
			wakes  = make([]<-chan struct{}, 0, len(tables))
		)
		s.st.view(func() {
			for _, t := range tables {
				wakes = append(wakes, s.st.tables[t].wake)
			}
			answer, index = read()
		})
		if q.minIndex == 0 || index > q.minIndex {
			return answer, index
		}
		if !s.waitAny(ctx, timer.C, wakes) {
			return answer, index
		}
	}
}

// waitAny reports whether one of the tables changed before the time was over.
func (s *Server) waitAny(ctx context.Context, timeout <-chan time.Time, wakes []<-chan struct{}) bool {
	if len(wakes) == 1 {
		select {
		case <-wakes[0]:
			return true
		case <-timeout:
		case <-ctx.Done():
		case <-s.closing:
		}
		return false
	}
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timeout)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(s.closing)},
	}
	fixed := len(cases)
	for _, w := range wakes {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(w)})
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen >= fixed
}

// tableIndex is the newest index of the tables. The lock is held.
func (s *store) tableIndex(tables ...table) uint64 {
	var index uint64
	for _, t := range tables {
		index = max(index, s.tables[t].index)
	}
	return index
}
