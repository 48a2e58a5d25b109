package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
)

// watchUntil collects hints until enough says so.
func watchUntil(t *testing.T, c *Client, enough func([]Hint) bool) []Hint {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	var hints []Hint
	err := c.Watch(ctx, func(h Hint) {
		hints = append(hints, h)
		if enough(hints) {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Watch ended with %v after %+v", err, hints)
	}
	return hints
}

func count(hints []Hint, match func(Hint) bool) (n int) {
	for _, h := range hints {
		if match(h) {
			n++
		}
	}
	return n
}

func serveEvents(f *fakeNomad, stream http.HandlerFunc) {
	f.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, []any{}) })
	f.HandleFunc("GET /v1/event/stream", stream)
}

func TestWatchTurnsEventsIntoHints(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	serveEvents(f, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("index") != "7" || len(q["topic"]) != 4 {
			t.Errorf("asked for %v", q)
		}
		fmt.Fprintln(w, `{}`)
		fmt.Fprintln(w, `{"Index":8,"Events":[{"Topic":"Job","Key":"cotrain-core-x/dispatch-1"},{"Topic":"Job","Key":"somebody-elses"},{"Topic":"Job","Key":"cotrain-core-x/dispatch-1"},{"Topic":"Evaluation","Key":"e","FilterKeys":["cotrain-core-y",""]},{"Topic":"Allocation","Key":"a1","FilterKeys":["cotrain-core-x",""]},{"Topic":"Allocation","Key":"a2","FilterKeys":["other"],"Payload":{"Allocation":{"JobID":"other","NodeID":"n"}}},{"Topic":"Allocation","Key":"a3","Payload":{"Allocation":{"JobID":"cotrain-core-z","NodeID":"n1"}}},{"Topic":"Node","Key":"n2"},{"Topic":"Service","Key":"s"}]}`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	hints := watchUntil(t, c, func(h []Hint) bool { return len(h) == 6 })
	want := []Hint{
		{Resync: true}, {JobID: "cotrain-core-x/dispatch-1"}, {JobID: "cotrain-core-y"},
		{JobID: "cotrain-core-x", AllocID: "a1"}, {JobID: "cotrain-core-z", AllocID: "a3", NodeID: "n1"}, {NodeID: "n2"},
	}
	if d := cmp.Diff(want, hints); d != "" {
		t.Error(d)
	}
}

func TestWatchReconnectsAndSaysThatEverythingMustBeReadAgain(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]http.HandlerFunc{
		"the stream ends": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "{}") },
		"the stream goes silent": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "{}")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"the stream never answers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"rubbish comes":            func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>\x00") },
		"the stream is refused":    refuse(500, "rpc error: no leader"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, c := newFake(t)
				var broken atomic.Bool
				broken.Store(true)
				serveEvents(f, func(w http.ResponseWriter, r *http.Request) {
					if broken.CompareAndSwap(true, false) {
						stream(w, r)
						return
					}
					fmt.Fprintln(w, `{"Index":9,"Events":[{"Topic":"Node","Key":"back"}]}`)
					w.(http.Flusher).Flush()
					<-r.Context().Done()
				})
				hints := watchUntil(t, c, func(h []Hint) bool { return h[len(h)-1].NodeID == "back" })
				unreachable := func(h Hint) bool { return errors.Is(h.Unreachable, fault.ErrUnavailable) }
				if count(hints, unreachable) != 1 {
					t.Errorf("hints %+v, want one that says unreachable", hints)
				}
				if n := len(hints); !hints[n-2].Resync {
					t.Errorf("hints %+v, want a resync before the first event", hints)
				}
			})
		})
	}
}

func TestWatchTellsThatTheTokenIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		f.HandleFunc("GET /v1/jobs", refuse(403, "Permission denied"))
		hints := watchUntil(t, c, func(h []Hint) bool { return len(h) == 3 })
		if n := count(hints, func(h Hint) bool { return errors.Is(h.Unreachable, ErrDenied) }); n != 3 {
			t.Errorf("hints %+v", hints)
		}
		if f.count("GET /v1/event/stream") != 0 {
			t.Error("the stream was opened with a refused token")
		}
	})
}

func TestAHeartbeatKeepsTheStreamOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		serveEvents(f, func(w http.ResponseWriter, r *http.Request) {
			for i := range 12 {
				if i == 11 {
					fmt.Fprintln(w, `{"Index":9,"Events":[{"Topic":"Node","Key":"late"}]}`)
				}
				fmt.Fprintln(w, "{}")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(eventSilence / 2):
				}
			}
			<-r.Context().Done()
		})
		hints := watchUntil(t, c, func(h []Hint) bool { return h[len(h)-1].NodeID == "late" })
		if len(hints) != 2 {
			t.Errorf("hints %+v, want one resync and one node", hints)
		}
	})
}

func TestAnEventLineIsBounded(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	serveEvents(f, func(w http.ResponseWriter, _ *http.Request) {
		block := strings.Repeat("x", 1<<20)
		for range 40 {
			if _, err := fmt.Fprint(w, block); err != nil {
				return
			}
		}
	})
	hints := watchUntil(t, c, func(h []Hint) bool { return h[len(h)-1].Unreachable != nil })
	if text := hints[len(hints)-1].Unreachable.Error(); !strings.Contains(text, "longer than any") {
		t.Errorf("got %s", text)
	}
}

func TestEachNamespaceHasAStreamOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		var opened atomic.Int64
		serveEvents(f, func(w http.ResponseWriter, r *http.Request) {
			opened.Add(1)
			namespace := r.URL.Query().Get("namespace")
			if nodes := len(r.URL.Query()["topic"]) == 4; nodes != (namespace == "") {
				t.Errorf("namespace %q is asked for nodes: %v", namespace, nodes)
			}
			fmt.Fprintf(w, `{"Index":8,"Events":[{"Topic":"Job","Key":"cotrain-core-x.%s/dispatch-1"}]}`+"\n", namespace)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		of := func(h []Hint, namespace string) int {
			return count(h, func(h Hint) bool { return h.JobID == "cotrain-core-x."+namespace+"/dispatch-1" })
		}
		c.namespace("cotrain-core-x.first/dispatch-1")
		hints := watchUntil(t, c, func(h []Hint) bool {
			if of(h, "first") == 1 && of(h, "") == 1 {
				c.namespace("cotrain-core-x.second") // while it watches
				c.namespace("cotrain-core-x.first/dispatch-2")
			}
			return of(h, "second") == 1
		})
		if opened.Load() != 3 || count(hints, func(h Hint) bool { return h.Resync }) != 3 || of(hints, "first") != 1 {
			t.Errorf("%d streams, hints %+v", opened.Load(), hints)
		}
	})
}

// TestANamespaceThatMayNotBeReadLeavesTheRest has a token that may not read a project's namespace.
func TestANamespaceThatMayNotBeReadLeavesTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		var refused atomic.Int64
		f.HandleFunc("GET /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("namespace") == "closed" {
				refused.Add(1)
				refuse(403, "Permission denied")(w, r)
				return
			}
			answerJSON(w, []any{})
		})
		f.HandleFunc("GET /v1/event/stream", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, `{}`)
			w.(http.Flusher).Flush()
			for refused.Load() < 3 {
				time.Sleep(time.Second)
			}
			fmt.Fprintln(w, `{"Index":9,"Events":[{"Topic":"Node","Key":"n"}]}`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		c.namespace("cotrain-core-x.closed")
		hints := watchUntil(t, c, func(h []Hint) bool { return h[len(h)-1].NodeID == "n" })
		if n := count(hints, func(h Hint) bool { return h.Unreachable != nil }); n != 0 {
			t.Errorf("hints %+v say that Nomad is unreachable", hints)
		}
	})
}
