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
)

func TestABlockingListWakesOnAnyChangeOfItsTable(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	_, meta, err := a.client.Jobs().List(nil)
	if err != nil || meta.LastIndex == 0 || !meta.KnownLeader {
		t.Fatalf("meta %+v, %v", meta, err)
	}
	type answer struct {
		jobs []*api.JobListStub
		meta *api.QueryMeta
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		jobs, m, err := a.client.Jobs().List(&api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		got <- answer{jobs, m, err}
	}()
	select {
	case x := <-got:
		t.Fatalf("answered at once: %+v", x)
	case <-time.After(50 * time.Millisecond):
	}
	a.register(sleeper("wake", 1, nil))
	x := <-got
	if x.err != nil || len(x.jobs) != 1 || x.meta.LastIndex <= meta.LastIndex {
		t.Errorf("%+v %v", x.meta, x.err)
	}
}

func TestABlockingReadEndsAfterItsWait(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.register(sleeper("still", 1, nil))
	al := a.waitAllocs("still", clientRunning, 1)[0]
	got, meta, err := a.client.Allocations().Info(al.ID, &api.QueryOptions{WaitIndex: 1 << 40, WaitTime: 30 * time.Millisecond})
	if err != nil || got.ID != al.ID || meta.LastIndex != got.ModifyIndex {
		t.Errorf("%+v %v", meta, err)
	}
	got2 := make(chan uint64, 1)
	go func() {
		_, m, err := a.client.Allocations().Info(al.ID, &api.QueryOptions{WaitIndex: got.ModifyIndex, WaitTime: time.Minute})
		if err != nil {
			t.Error(err)
			close(got2)
			return
		}
		got2 <- m.LastIndex
	}()
	if _, _, err := a.client.Jobs().Deregister("still", false, nil); err != nil {
		t.Fatal(err)
	}
	if index := <-got2; index <= got.ModifyIndex {
		t.Errorf("woke with index %d", index)
	}
}

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
	a.events("?topic=Job&topic=Allocation:evented&topic=Evaluation", func(e api.Events) bool {
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
				dead = *job.Status == statusDead
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
	a.events("?topic=Job:n2", func(e api.Events) bool {
		if len(e.Events) != 1 || e.Events[0].Key != "n2" {
			t.Errorf("filter lets through %+v", e.Events)
		}
		return true
	})
	a.events("?topic=Evaluation:n1&topic=Evaluation:n1", func(e api.Events) bool {
		if len(e.Events) != 2 {
			t.Errorf("two filters that match deliver %d times", len(e.Events))
		}
		return true
	})
}

func TestTheEventHubKeepsTheNewestBatchesOnly(t *testing.T) {
	t.Parallel()
	h := newEventHub()
	for i := range uint64(eventBufferSize + 50) {
		h.publish(i+1, []*event{{topic: topicJob, index: i + 1}})
	}
	at := h.from(1)
	<-at.ready
	if first := at.next.index; first != 50 && first != 51 {
		t.Errorf("too old an index starts at %d", first)
	}
	if at = h.from(1 << 40); at.next.index != eventBufferSize+50 {
		t.Errorf("too new an index starts at %d", at.next.index)
	}
}

func TestListsFilterPageAndPrefix(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	for _, id := range []string{"a1", "a2", "b1"} {
		job := sleeper(id, 0, nil)
		job.Meta = map[string]string{"k": id}
		a.register(job)
	}
	ids := func(q *api.QueryOptions) (string, string) {
		jobs, meta, err := a.client.Jobs().List(q)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, j := range jobs {
			out = append(out, j.ID)
		}
		return strings.Join(out, ","), meta.NextToken
	}
	for want, q := range map[string]*api.QueryOptions{
		"a1,a2,b1": {}, "a1,a2": {Prefix: "a"}, "b1": {Filter: `ID == "b1"`}, "a2": {Filter: `Meta.k == "a2"`}, "": {Namespace: "other"},
	} {
		if got, _ := ids(q); got != want {
			t.Errorf("%+v gives %q, want %q", q, got, want)
		}
	}
	body, _ := a.get("/v1/jobs?reverse=true") // the client sorts what it gets
	if b1, a1 := strings.Index(body, `"b1"`), strings.Index(body, `"a1"`); b1 < 0 || b1 > a1 {
		t.Errorf("reverse gives %s", body)
	}
	got, token := ids(&api.QueryOptions{PerPage: 2})
	if got != "a1,a2" || token == "" {
		t.Errorf("first page %q, token %q", got, token)
	}
	if got, token = ids(&api.QueryOptions{PerPage: 2, NextToken: token}); got != "b1" || token != "" {
		t.Errorf("second page %q, token %q", got, token)
	}
	for _, path := range []string{"/v1/jobs?filter=%28", "/v1/jobs?filter=Nope==1", "/v1/jobs?per_page=x", "/v1/jobs?index=x", "/v1/jobs?wait=x", "/v1/jobs?stale=x"} {
		if body, code := a.get(path); code != 400 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if body, code := a.get(`/v1/allocations?filter=ClientStatus=="running"&resources=true&task_states=false`); code != 200 || body != "[]" {
		t.Errorf("%d %s", code, body)
	}
}
