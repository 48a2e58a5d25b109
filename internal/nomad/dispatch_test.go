package nomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// fakeParents holds parent jobs as a Nomad server does, with modify indexes that are checked.
type fakeParents struct {
	mu    sync.Mutex
	index uint64
	jobs  map[string]map[string]any
}

func (p *fakeParents) serve(f *fakeNomad) {
	p.jobs = map[string]map[string]any{}
	f.HandleFunc("POST /v1/jobs/parse", p.parse)
	f.HandleFunc("PUT /v1/jobs/parse", p.parse)
	f.HandleFunc("PUT /v1/jobs", p.register)
	f.HandleFunc("GET /v1/job/{id}", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if job, ok := p.jobs[r.PathValue("id")]; ok {
			answerJSON(w, job)
			return
		}
		refuse(404, "job not found")(w, r)
	})
}

func (p *fakeParents) parse(w http.ResponseWriter, r *http.Request) {
	var req struct{ JobHCL, Variables string }
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil || strings.Contains(req.JobHCL, "broken") {
		refuse(400, "Failed to parse job: broken")(w, r)
		return
	}
	_, rest, _ := strings.Cut(req.Variables, `job_id = "`)
	id, _, _ := strings.Cut(rest, `"`)
	answerJSON(w, map[string]any{
		"ID": id, "Type": "batch", "ParameterizedJob": map[string]any{"Payload": "required"},
		"TaskGroups": []any{map[string]any{"Name": "workers", "Tasks": []any{map[string]any{"Name": "trainer"}}}},
	})
}

func (p *fakeParents) register(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Job            map[string]any
		EnforceIndex   bool
		JobModifyIndex uint64
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		refuse(400, err.Error())(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := req.Job["ID"].(string)
	have := uint64(0)
	if old, ok := p.jobs[id]; ok {
		have = old["JobModifyIndex"].(uint64)
	}
	if req.EnforceIndex && have != req.JobModifyIndex {
		refuse(500, fmt.Sprintf("Enforcing job modify index %d: job exists with conflicting job modify index: %d", req.JobModifyIndex, have))(w, r)
		return
	}
	p.index++
	req.Job["JobModifyIndex"] = p.index
	p.jobs[id] = req.Job
	answerJSON(w, map[string]any{"JobModifyIndex": p.index})
}

var testShape = run.Shape{Nodes: 2, Memory: 64}

func TestEnsureParentRegistersOnce(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if id, err := c.EnsureParent(t.Context(), testShape); id != testShape.ParentJob() || err != nil {
				t.Errorf("got %q, %v", id, err)
			}
		})
	}
	all.Wait()
	if parsed, registered := f.count("PUT /v1/jobs/parse"), f.count("PUT /v1/jobs")-f.count("PUT /v1/jobs/parse"); parsed != 1 || registered != 1 {
		t.Errorf("parsed %d times and registered %d times, want once", parsed, registered)
	}
	calls := len(f.calls)
	if _, err := c.EnsureParent(t.Context(), testShape); err != nil || len(f.calls) != calls {
		t.Errorf("a known parent made %d calls, %v", len(f.calls)-calls, err)
	}
}

func TestEnsureParentGivesWayToWhoeverRegistersInBetween(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	p := &fakeParents{}
	p.serve(f)
	other, err := New(c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	// Two consoles with one job file, at once: one registers, the other finds it done.
	var all sync.WaitGroup
	for _, client := range []*Client{c, other, c, other} {
		all.Go(func() {
			if _, err := client.EnsureParent(t.Context(), testShape); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if p.index != 1 {
		t.Errorf("registered %d times", p.index)
	}
}

func TestEnsureParentRefusesJobFilesAndShapesThatCannotWork(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	for name, shape := range map[string]run.Shape{"no nodes": {}, "negative GPUs": {Nodes: 1, GPUs: -1}, "a long model": {Nodes: 1, GPUModel: strings.Repeat("x", 300)}} {
		if _, err := c.EnsureParent(t.Context(), shape); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.cfg.Job.File = jobFileWith(t, "broken")
	if _, err := c.EnsureParent(t.Context(), testShape); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a broken file: %v", err)
	}
}

func testDispatch() Dispatch {
	return Dispatch{Parent: testShape.ParentJob(), Token: "r-0000000000/1", RunID: "r-0000000000", Attempt: 1, Payload: []byte("x = 1")}
}

func TestDispatchGoesAgainWhenTheChildWasNeverStored(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	const ghost, child = "p/dispatch-1-aaaaaaaa", "p/dispatch-1-bbbbbbbb"
	var calls atomic.Int32
	f.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, r *http.Request) {
		if token := r.URL.Query().Get("idempotency_token"); token != "r-0000000000/1" {
			t.Errorf("token is %q", token)
		}
		if calls.Add(1) == 1 {
			answerJSON(w, map[string]string{"DispatchedJobID": ghost, "EvalID": "never-stored"})
			return
		}
		answerJSON(w, map[string]string{"DispatchedJobID": child, "EvalID": ""})
	})
	if got, err := c.Dispatch(t.Context(), testDispatch()); got != child || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestDispatchGivesUpOnAChildThatNeverAppears(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	f.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, map[string]string{"DispatchedJobID": "p/dispatch-1-aaaaaaaa", "EvalID": "never-stored"})
	})
	if _, err := c.Dispatch(t.Context(), testDispatch()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if n := f.count("PUT /v1/job/"); n != dispatchTries {
		t.Errorf("%d dispatches", n)
	}
}

func TestDispatchRunMakesAVanishedParentAgain(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	p := &fakeParents{}
	p.serve(f)
	f.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if _, ok := p.jobs[r.PathValue("id")]; !ok {
			refuse(500, "parameterized job not found")(w, r)
			return
		}
		answerJSON(w, map[string]string{"DispatchedJobID": "child", "EvalID": "e/1"})
	})
	f.HandleFunc("GET /v1/evaluation/{id}", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]string{"ID": r.PathValue("id")})
	})
	if _, err := c.EnsureParent(t.Context(), testShape); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	clear(p.jobs)
	p.mu.Unlock()
	parent, child, err := c.DispatchRun(t.Context(), testShape, testDispatch())
	if parent != testShape.ParentJob() || child != "child" || err != nil {
		t.Errorf("got %q, %q, %v", parent, child, err)
	}
}

func TestWhatMayHaveBeenSentIsFoundThoughItsParentIsRefused(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeParents{}).serve(f)
	f.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, map[string]string{"DispatchedJobID": r.PathValue("id") + "/dispatch-1", "EvalID": ""})
	})
	c.cfg.Job.File = jobFileWith(t, "broken")
	d := testDispatch()
	if _, _, err := c.DispatchRun(t.Context(), testShape, d); !errors.Is(err, fault.ErrInvalid) || f.count("PUT /v1/job/") != 0 {
		t.Errorf("one that nobody sent: %v, calls %q", err, f.calls)
	}
	d.MaybeSent = true
	if _, child, err := c.DispatchRun(t.Context(), testShape, d); child != testShape.ParentJob()+"/dispatch-1" || err != nil {
		t.Errorf("got %q, %v", child, err)
	}
	f, c = newFake(t)
	(&fakeParents{}).serve(f)
	f.HandleFunc("PUT /v1/job/{id}/dispatch", refuse(500, "parameterized job not found"))
	c.cfg.Job.File = jobFileWith(t, "broken")
	if _, _, err := c.DispatchRun(t.Context(), testShape, d); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("without any parent: %v", err)
	}
}

func TestDispatchRefusesPayloadsBeforeItCalls(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	for _, n := range []int{0, MaxPayload + 1} {
		d := testDispatch()
		d.Payload = make([]byte, n)
		if _, err := c.Dispatch(t.Context(), d); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("calls %q", f.calls)
	}
}

func TestStoppingWhatIsGoneIsNoError(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("DELETE /v1/job/{id}", refuse(404, "job not found"))
	if err := c.Stop(t.Context(), "x/dispatch-1"); err != nil {
		t.Error(err)
	}
	if f.count("DELETE /v1/job/x%2Fdispatch-1") != 1 {
		t.Errorf("calls %q", f.calls)
	}
}

func TestOnlyATokenThatMayHaveBeenSentBeforeIsVerified(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		f, c := newFake(t)
		f.HandleFunc("PUT /v1/job/{id}/dispatch", func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, map[string]string{"DispatchedJobID": "child", "EvalID": "e"})
		})
		f.HandleFunc("GET /v1/evaluation/e", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, map[string]string{"ID": "e"}) })
		d := testDispatch()
		d.First = first
		if child, err := c.Dispatch(t.Context(), d); child != "child" || err != nil {
			t.Errorf("first %v: got %q, %v", first, child, err)
		}
		if asked := f.count("GET /v1/evaluation/") > 0; asked == first {
			t.Errorf("first %v: asked for the evaluation %v", first, asked)
		}
	}
}
