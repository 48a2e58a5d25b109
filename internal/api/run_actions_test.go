package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestActionsAnswerWithTheRunAndWhatHappensNext(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, tt := range []struct {
		from  run.State
		path  string
		state run.State
		next  string
	}{
		{run.Running, "/pause", run.Running, "It trains on and pauses at the next checkpoint."},
		{run.Running, "/pause?when=now", run.Stopping, "then it is paused"},
		{run.Queued, "/pause", run.Paused, "It is paused and keeps its place in the queue. It holds no GPUs."},
		{run.Paused, "/resume?from=120", run.Queued, "continues from the checkpoint of step 120"},
		{run.Running, "/restart?from=start", run.Stopping, "then another attempt continues from the beginning"},
		{run.Failed, "/retry", run.Queued, "continues from the newest complete checkpoint"},
		{run.Stopped, "/retry?from=step_20", run.Queued, "continues from the checkpoint of step 20"},
	} {
		r := f.Add(run.Run{Name: "a", State: tt.from, Attempt: 1, CheckpointPath: "c", Shape: run.Shape{Nodes: 2, GPUs: 2}})
		got := decode[client.Acted](f, f.do("POST", "/api/v1/runs/"+string(r)+tt.path, ""), http.StatusAccepted)
		if got.Run.ID != r || got.Run.State != tt.state || !strings.Contains(got.Next, tt.next) {
			t.Errorf("%s of one that is %s: %s, %q", tt.path, tt.from, got.Run.State, got.Next)
		}
	}
	waits := f.Add(run.Run{Name: "a", State: run.Queued, Attempt: 1, Cause: &run.Cause{Category: "cuda_oom", Summary: "x"}})
	if got := decode[client.Acted](f, f.do("POST", "/api/v1/runs/"+string(waits)+"/stop-retrying", ""), http.StatusAccepted); got.Run.State != run.Failed || got.Run.Cause == nil {
		t.Errorf("it is %+v", got.Run)
	}
	ends := f.Add(run.Run{Name: "a", State: run.Stopping, Attempt: 1, StopRequested: true})
	if got := decode[run.Run](f, f.do("POST", "/api/v1/runs/"+string(ends)+"/stop?force=true", ""), http.StatusAccepted); got.Reason != run.ReasonKilling {
		t.Errorf("it is %+v", got)
	}
}

func TestAnActionIgnoresNoBody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := string(f.Add(run.Run{Name: "a", State: run.Running, Attempt: 1, CheckpointPath: "c"}))
	for path, body := range map[string]string{"/restart": `{"from":"start"}`, "/stop": `{"force":true}`, "/pause": "{bad"} {
		option := map[string]string{"/restart": "?from=", "/stop": "?force=", "/pause": "?when="}[path]
		got := f.do("POST", "/api/v1/runs/"+id+path, body)
		if p := decode[client.Problem](f, got, http.StatusUnprocessableEntity); len(p.Errors) != 1 || p.Errors[0].Field != "body" || !strings.HasSuffix(p.Errors[0].Fix, "query: "+option) {
			t.Errorf("%s with %s: %+v", path, body, p)
		}
	}
	for _, empty := range []string{"{}", " null "} {
		decode[client.Acted](f, f.do("POST", "/api/v1/runs/"+id+"/pause", empty), http.StatusAccepted)
	}
}

func TestManyRunsArePausedAndResumed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	running := string(f.Add(run.Run{Name: "a", State: run.Running, Attempt: 1, CheckpointPath: "c"}))
	bare, done := string(f.Add(run.Run{Name: "b", State: run.Running, Attempt: 1})), string(f.Add(run.Run{Name: "c", State: run.Succeeded}))
	for _, tt := range []struct{ path, more, done, failed, why, next string }{
		{"pause", "", running, bare, "ckpt.path", "It trains on and pauses at the next checkpoint."},
		{"pause", `,"when":"now"`, bare, done, "already", "Its workers save and exit; then it is paused and keeps its place in the queue. When it is resumed it continues from the beginning."},
		{"resume", "", running, done, "not paused", "It goes on as before."},
		{"stop", "", running, done, "already", "Its workers save and exit, or are killed when their time is over; then it is stopped."},
	} {
		got := decode[run.BulkResult](f, f.do("POST", "/api/v1/runs/bulk/"+tt.path, `{"runs":["`+tt.done+`","`+tt.failed+`"]`+tt.more+`}`), http.StatusOK)
		if len(got.Done) != 1 || string(got.Done[0]) != tt.done || len(got.Failed) != 1 || string(got.Failed[0].ID) != tt.failed || !strings.Contains(got.Failed[0].What, tt.why) ||
			len(got.Next) != 1 || got.Next[run.ID(tt.done)] != tt.next {
			t.Errorf("%s%s: %+v", tt.path, tt.more, got)
		}
	}
	if w := f.do("POST", "/api/v1/runs/bulk/pause", `{"runs":["`+running+`"],"when":"later"}`); w.Code != 422 {
		t.Errorf("a time that there is not: %d", w.Code)
	}
	ends := f.Add(run.Run{Name: "d", State: run.Running, Attempt: 1})
	if got := decode[client.Stopped](f, f.do("POST", "/api/v1/runs/"+string(ends)+"/stop", ""), http.StatusAccepted); got.ID != ends || !strings.Contains(got.Next, "then it is stopped") {
		t.Errorf("a stop says %q", got.Next)
	}
}

func TestActionsThatAreNotPossibleSayWhatIs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	running := "/api/v1/runs/" + string(f.Add(run.Run{Name: "a", State: run.Running}))
	done := "/api/v1/runs/" + string(f.Add(run.Run{Name: "b", State: run.Succeeded}))
	for _, tt := range []struct {
		path   string
		status int
		says   string
	}{
		{running + "/pause?when=later", 422, "use checkpoint or now"},
		{running + "/pause", 422, "use now"},
		{running + "/resume", 409, "Restart it"},
		{running + "/retry?from=best", 422, "use newest, start"},
		{running + "/retry", 409, "Restart it"},
		{running + "/stop-retrying", 409, "Stop it"},
		{done + "/retry", 409, "Clone it"},
		{done + "/restart", 409, "Clone it"},
		{done + "/pause", 409, "nothing left to pause"},
		{done + "/stop?force=true", 409, "already"},
		{"/api/v1/runs/r-zzzzzzzzzz/pause", 404, "No run has the ID"},
	} {
		w := f.do("POST", tt.path, "")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: status %d, %s", tt.path, w.Code, w.Body)
		}
	}
}
