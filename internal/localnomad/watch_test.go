package localnomad

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// events reads a stream's lines until stop says so.
func (a *testAgent) events(query string, stop func(e api.Events) bool) {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://local/v1/event/stream"+query, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	first, err := in.ReadString('\n')
	if err != nil || first != "{}\n" {
		a.t.Fatalf("the stream begins with %q, %v", first, err)
	}
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			a.t.Fatalf("stream: %v", err)
		}
		var e api.Events
		if err := json.Unmarshal(line, &e); err != nil {
			a.t.Fatalf("%q: %v", line, err)
		}
		if stop(e) {
			return
		}
	}
}

func TestTheEventStreamTellsWhatNomadTells(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	go func() {
		_, _, err := a.client.Jobs().Register(shellJob("evented", "true", 1), nil)
		if err != nil {
			t.Error(err)
		}
	}()
	var got []string
	a.events("?topic=Job&topic=Allocation&topic=Evaluation", func(e api.Events) bool {
		dead := false
		for _, ev := range e.Events {
			if ev.Index != e.Index {
				t.Errorf("event %d in batch %d", ev.Index, e.Index)
			}
			what := string(ev.Topic) + " " + ev.Type
			switch ev.Topic {
			case api.TopicAllocation:
				al, err := ev.Allocation()
				if err != nil || al.Job != nil || al.ID != ev.Key || strings.Join(ev.FilterKeys, ",") != "evented," {
					t.Errorf("allocation event %+v: %v", ev, err)
				}
				what += " " + al.ClientStatus
			case api.TopicJob:
				job, err := ev.Job()
				if err != nil || *job.ID != "evented" {
					t.Errorf("job event: %v", err)
				}
				what += " " + *job.Status
				dead = *job.Status == state.Dead
			case api.TopicEvaluation:
				ev, err := ev.Evaluation()
				if err != nil {
					t.Error(err)
				}
				what += " " + ev.Status
			}
			got = append(got, what)
		}
		return dead
	})
	want := []string{
		"Job JobRegistered pending", "Evaluation JobRegistered pending", "Allocation PlanResult pending", "Job PlanResult running",
		"Evaluation EvaluationUpdated complete", "Allocation AllocationUpdated running", "Allocation AllocationUpdated complete",
		"Job AllocationUpdated dead",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheEventStreamStartsAtItsIndex(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	var last uint64
	for i := range 5 {
		last = a.register(sleeper("n"+strconv.Itoa(i), 0, nil)).JobModifyIndex
	}
	a.events("?topic=Job&index="+strconv.FormatUint(last, 10), func(e api.Events) bool {
		if e.Index != last {
			t.Errorf("inclusive start at %d gives %d first", last, e.Index)
		}
		return true
	})
}

func TestListsFilterPageAndPrefix(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	for _, id := range []string{"a1", "a2", "b1"} {
		job := sleeper(id, 0, nil)
		job.Meta = map[string]string{"k": id}
		a.register(job)
	}
	for want, q := range map[string]*api.QueryOptions{
		"a1,a2,b1": {}, "a1,a2": {Prefix: "a"}, "b1": {Filter: `ID == "b1"`}, "a2": {Filter: `Meta.k == "a2"`}, "": {Namespace: "other"}, "a1": {PerPage: 1},
	} {
		jobs, _, err := a.client.Jobs().List(q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%+v gives %q, want %q", q, got, want)
		}
	}
	for _, path := range []string{"/v1/jobs?filter=%28", "/v1/jobs?filter=Nope==1", "/v1/jobs?per_page=x", "/v1/jobs?index=x", "/v1/jobs?wait=x"} {
		if body, code := a.get(path); code != 400 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if body, code := a.get(`/v1/allocations?filter=ClientStatus=="running"&resources=true&task_states=false`); code != 200 || body != "[]" {
		t.Errorf("%d %s", code, body)
	}
}
