package conformance

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/jobs"
)

func testAgent(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	info, err := b.client.Ping(b.context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Leader == "" || !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(info.Version) {
		t.Errorf("Ping gives %+v, want a leader and a version", info)
	}
	if r := b.raw("GET", "/v1/status/leader", nil); r.Code != 200 || !strings.HasPrefix(r.Body, `"`) {
		t.Errorf("the leader is %d %q, want a JSON string", r.Code, r.Body)
	}
	for _, path := range []string{"/v1/job/no-such-job", "/v1/job/no%2Fsuch"} {
		b.expect(b.raw("GET", path, nil), 404, "job not found")
	}
	if r := b.raw("GET", "/v1/job/no-such-job/evaluations", nil); r.Code != 200 || strings.TrimSpace(r.Body) != "[]" {
		t.Errorf("evaluations of an unknown job: %d %q, want 200 []", r.Code, r.Body)
	}
}

// parentJob is the part of a parent that CoTrain relies on.
type parentJob struct {
	ID, Type, Status string
	Stop             bool
	Version          int
	JobModifyIndex   uint64
	Meta             map[string]string
	ParameterizedJob *struct {
		Payload                    string
		MetaRequired, MetaOptional []string
	}
}

func testParents(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	ctx := b.context()
	id, err := b.client.EnsureParent(ctx, b.shape)
	if err != nil {
		t.Fatal(err)
	}
	b.track(id, "")
	path := "/v1/job/" + id
	first := decode[parentJob](b, b.raw("GET", path, nil))
	if first.ID != id || first.Type != "batch" || first.Status != "running" || first.Stop || first.Version != 0 {
		t.Errorf("parent is %+v, want a running batch job at version 0", first)
	}
	if p := first.ParameterizedJob; p == nil || p.Payload != "required" || len(p.MetaRequired) != 2 || len(p.MetaOptional) != 5 {
		t.Errorf("parameterized block is %+v", p)
	}
	if evals := decode[[]any](b, b.raw("GET", path+"/evaluations", nil)); len(evals) != 0 {
		t.Errorf("registering a parent made %d evaluations, want none", len(evals))
	}

	t.Run("another client finds it unchanged", func(t *testing.T) {
		other := newBench(t, target, nil)
		if _, err := other.client.EnsureParent(ctx, b.shape); err != nil {
			t.Fatal(err)
		}
		if again := decode[parentJob](b, b.raw("GET", path, nil)); again.JobModifyIndex != first.JobModifyIndex {
			t.Errorf("modify index went from %d to %d", first.JobModifyIndex, again.JobModifyIndex)
		}
	})
	t.Run("a changed file makes a new version, once, from many callers", func(t *testing.T) {
		changed := newBench(t, target, func(j *nomad.JobSettings) {
			j.File = jobFile(t, strings.Replace(jobs.CotrainCore, "priority    = var.priority", "priority    = 42", 1))
		})
		var all sync.WaitGroup
		for range 6 {
			client := newBench(t, target, func(j *nomad.JobSettings) {
				j.File = jobFile(t, strings.Replace(jobs.CotrainCore, "priority    = var.priority", "priority    = 42", 1))
			}).client
			all.Go(func() {
				if _, err := client.EnsureParent(ctx, b.shape); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if now := decode[parentJob](changed, changed.raw("GET", path, nil)); now.Version != 1 {
			t.Errorf("version is %d, want 1", now.Version)
		}
	})
	t.Run("a stopped parent is started again", func(t *testing.T) {
		if err := b.client.Stop(ctx, id); err != nil {
			t.Fatal(err)
		}
		child := b.dispatch("exit 0")
		if w := b.ended(child); !w.OK() {
			t.Errorf("worker is %+v", w)
		}
	})
	t.Run("a purged parent is made again", func(t *testing.T) {
		if err := b.client.Purge(ctx, id); err != nil {
			t.Fatal(err)
		}
		b.dispatch("exit 0")
	})
	testParse(t, b)
}

func testDispatch(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	ctx := b.context()
	d := b.attempt("exit 0")
	parent, child, err := b.client.DispatchRun(ctx, b.shape, d)
	if err != nil {
		t.Fatal(err)
	}
	b.track(parent, child)
	if !regexp.MustCompile("^" + parent + `/dispatch-\d+-[0-9a-f]{8}$`).MatchString(child) {
		t.Errorf("child is called %q", child)
	}
	type job struct {
		ID, ParentID, Type, Payload string
		Dispatched                  bool
		Meta                        map[string]string
	}
	got := decode[job](b, b.raw("GET", "/v1/job/"+url.PathEscape(child), nil))
	if got.ID != child || got.ParentID != parent || !got.Dispatched || got.Meta["run_id"] != string(d.RunID) || got.Meta["attempt"] != "1" {
		t.Errorf("child is %+v", got)
	}

	t.Run("the same token gives the same child", func(t *testing.T) {
		_, again, err := b.client.DispatchRun(ctx, b.shape, d)
		if err != nil || again != child {
			t.Errorf("second dispatch gives %q, %v; want %q", again, err, child)
		}
		r := decode[struct{ DispatchedJobID, EvalID string }](b, b.raw("PUT",
			"/v1/job/"+parent+"/dispatch?idempotency_token="+url.QueryEscape(d.Token),
			map[string]any{"Payload": d.Payload, "Meta": map[string]string{"run_id": string(d.RunID), "attempt": "1"}}))
		if r.DispatchedJobID != child || r.EvalID != "" {
			t.Errorf("raw dispatch gives %+v, want the child and no evaluation", r)
		}
	})
	t.Run("the evaluation of a dispatch exists with its child", func(t *testing.T) {
		d := b.attempt("exit 0")
		r := decode[struct{ DispatchedJobID, EvalID string }](b, b.raw("PUT",
			"/v1/job/"+parent+"/dispatch?idempotency_token="+url.QueryEscape(d.Token),
			map[string]any{"Payload": d.Payload, "Meta": map[string]string{"run_id": string(d.RunID), "attempt": "1"}}))
		b.track("", r.DispatchedJobID)
		e := decode[struct{ ID, JobID, Type, TriggeredBy string }](b, b.raw("GET", "/v1/evaluation/"+r.EvalID, nil))
		if e.ID != r.EvalID || e.JobID != r.DispatchedJobID || e.Type != "batch" || e.TriggeredBy != "job-register" {
			t.Errorf("evaluation is %+v, dispatch %+v", e, r)
		}
	})
	t.Run("racing calls with one token make one child", func(t *testing.T) {
		d := b.attempt("exit 0")
		var all sync.WaitGroup
		ids := make([]string, 8)
		for i := range ids {
			all.Go(func() {
				_, id, err := b.client.DispatchRun(ctx, b.shape, d)
				if err != nil {
					t.Error(err)
				}
				ids[i] = id
			})
		}
		all.Wait()
		b.track("", ids[0])
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("children %q", ids)
				break
			}
		}
		workers := b.workers(ids[0], 1, "one worker", func(run.Worker) bool { return true })
		if len(workers) != 1 {
			t.Errorf("%d workers", len(workers))
		}
	})
	t.Run("a child that is purged is not found", func(t *testing.T) {
		id := b.dispatch("exit 0")
		b.ended(id)
		if err := b.client.Purge(ctx, id); err != nil {
			t.Fatal(err)
		}
		b.eventually("the child to be gone", func(ctx context.Context) (bool, string) {
			_, state, err := b.client.Workers(ctx, id)
			return err == nil && !state.Found, ""
		})
	})
}

func testDispatchRefusals(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	ctx := b.context()
	parent, err := b.client.EnsureParent(ctx, b.shape)
	if err != nil {
		t.Fatal(err)
	}
	b.track(parent, "")
	path := "/v1/job/" + parent + "/dispatch"
	meta := map[string]string{"run_id": "r", "attempt": "1"}
	type body struct {
		Payload []byte
		Meta    map[string]string
	}
	b.expect(b.raw("PUT", path, body{make([]byte, 17000), meta}), 500, "Payload exceeds maximum size; 17000 > 16384")
	b.expect(b.raw("PUT", path, body{nil, meta}), 500, "Payload is not provided but required by parameterized job")
	b.expect(b.raw("PUT", path, body{[]byte("x"), nil}), 500, "Dispatch did not provide required meta keys: [")
	b.expect(b.raw("PUT", path, body{[]byte("x"), map[string]string{"run_id": "r", "attempt": "1", "other": "x"}}), 500,
		"Dispatch request included unpermitted metadata keys: [other]")
	b.expect(b.raw("GET", "/v1/evaluation/11111111-2222-3333-4444-555555555555", nil), 404, "eval not found")
	b.expect(b.raw("PUT", "/v1/job/no-such-parent/dispatch", body{[]byte("x"), meta}), 500, "parameterized job not found")

	d := b.attempt("exit 0")
	d.Parent = "cotrain-core-nosuchparent"
	if _, err := b.client.Dispatch(ctx, d); !errors.Is(err, nomad.ErrParentMissing) {
		t.Errorf("dispatch of a missing parent gives %v", err)
	}
	d.Parent, d.Payload = parent, make([]byte, nomad.MaxPayload+1)
	if _, err := b.client.Dispatch(ctx, d); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("dispatch of a long payload gives %v", err)
	}
	d.Payload = []byte(strings.Repeat("#", nomad.MaxPayload-7) + "\nexit 0")
	child, err := b.client.Dispatch(ctx, d)
	if err != nil {
		t.Fatalf("the longest payload: %v", err)
	}
	b.track("", child)
	if w := b.ended(child); !w.OK() {
		t.Errorf("worker with the longest payload: %+v", w)
	}

	// A child is no parent, and a stopped parent takes no dispatch.
	b.expect(b.raw("PUT", "/v1/job/"+url.PathEscape(child)+"/dispatch", body{[]byte("x"), meta}), 500, "is not a parameterized job")
	if err := b.client.Stop(ctx, parent); err != nil {
		t.Fatal(err)
	}
	b.expect(b.raw("PUT", path, body{[]byte("x"), meta}), 500, `Specified job "`+parent+`" is stopped`)
	r := decode[struct{ EvalID string }](b, b.raw("DELETE", "/v1/job/no-such-job", nil))
	if r.EvalID != "" {
		t.Errorf("deleting an unknown job made evaluation %q", r.EvalID)
	}
	if err := b.client.Stop(ctx, "no-such-job"); err != nil {
		t.Errorf("stopping an unknown job: %v", err)
	}
}
