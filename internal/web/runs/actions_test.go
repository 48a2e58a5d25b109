package runs_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestStopAndDeleteAskFirstAndThenAct(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID)
	for _, action := range []string{"stop", "delete"} {
		ask := s.Get(path+"/"+action, 200)
		if ask.Count(fmt.Sprintf(`form[method=post][action="%s/%s"] button[data-action=%s]`, path, action, action)) != 1 {
			t.Errorf("the page for %s has no button that does it", action)
		}
	}
	if len(s.Fake.Did) != 0 {
		t.Fatalf("asking did %v", s.Fake.Did)
	}
	if a := s.Do("POST", path+"/stop", nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != path {
		t.Errorf("stop: %d to %q", a.Status, a.Header.Get("Location"))
	}
	if a := s.Do("POST", path+"/delete", nil); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/" {
		t.Errorf("delete: %d to %q", a.Status, a.Header.Get("Location"))
	}
	if got := strings.Join(s.Fake.Did, ", "); got != "stop "+string(r.ID)+", delete "+string(r.ID) {
		t.Errorf("did %s", got)
	}
	s.Fake.Err = fmt.Errorf("inside words: %w", fault.ErrConflict)
	a := s.Do("POST", path+"/stop", nil)
	if a.Status != http.StatusConflict || strings.Contains(a.Body, "inside words") {
		t.Errorf("conflict: %d", a.Status)
	}
}

func TestActionsSayWhatTheyMean(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	running := webtest.Run(run.Running)
	running.CheckpointPath, running.Options.Retries = "ckpt", 2
	fails, waits, paused, bare := webtest.Run(run.Failed), webtest.Run(run.Queued), webtest.Run(run.Paused), webtest.Run(run.Running)
	waits.Retried, waits.NotBefore, waits.Cause = 1, webtest.Now.Add(time.Minute), &run.Cause{Category: "cuda_oom", Summary: "x"}
	s.Fake.AllRuns = []run.Run{running, fails, waits, paused, bare}
	s.Fake.SaveTime = 45 * time.Second // of 30 that it has
	for _, tt := range []struct {
		of     run.Run
		act    string
		says   []string
		fields string // that it asks for
		body   url.Values
		did    string
	}{
		{running, "pause", []string{"6 GPUs are free", "keeps its place", "about step 550", "repeats 50 steps", "the last checkpoint may be cut off"}, "input[name=when][value=checkpoint][checked], input[name=when][value=now]", url.Values{"when": {"now"}}, "pause %s now"},
		{running, "pause", nil, "", nil, "pause %s checkpoint"},
		{bare, "pause", []string{"saves no checkpoints", "starts over"}, "input[type=hidden][name=when][value=now]", url.Values{"when": {"now"}}, "pause %s now"},
		{paused, "resume", []string{"3 nodes with 2 x A100", "go on where they were"}, "option[value=newest], option[value=step_400], option[value=start]", url.Values{"from": {"step_400"}}, "resume %s step_400"},
		{running, "restart", []string{"neither as a failure", "Newest complete checkpoint (step 450): repeats 50 steps"}, "select[name=from]", url.Values{"from": {"start"}}, "restart %s start"},
		{fails, "retry", []string{"Attempt 2 of the same run"}, "select[name=from]", url.Values{"from": {"newest"}}, "retry %s"},
		{waits, "retry", []string{"without waiting"}, "select[name=from]", nil, "retry %s"},
		{waits, "stop-retrying", []string{"ends as failed"}, "", nil, "stop-retrying %s"},
		{running, "stop-retrying", []string{"Attempt 1 goes on.", "no other attempt follows"}, "", nil, "stop-retrying %s"},
		{running, "kill", []string{"save nothing", "continue from step 450 and repeat 50 steps"}, "", nil, "kill %s"},
	} {
		path := "/runs/" + string(tt.of.ID) + "/" + tt.act
		ask := s.Get(path, 200)
		text := strings.Join(strings.Fields(ask.Doc.Find("[data-confirm]").Text()), " ")
		for _, want := range tt.says {
			if !strings.Contains(text, want) {
				t.Errorf("%s of one that is %s does not say %q: %s", tt.act, tt.of.State, want, text)
			}
		}
		form := ask.Doc.Find(fmt.Sprintf("form[method=post][action=%q]", path))
		if form.Find("button[data-action="+tt.act+"]").Length() != 1 {
			t.Errorf("%s: no button does it", tt.act)
		}
		for selector := range strings.SplitSeq(tt.fields, ", ") {
			if selector != "" && form.Find(selector).Length() != 1 {
				t.Errorf("%s: %d %s", tt.act, form.Find(selector).Length(), selector)
			}
		}
		if a := s.Do("POST", path, tt.body); a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/runs/"+string(tt.of.ID) {
			t.Errorf("%s: %d to %q", tt.act, a.Status, a.Header.Get("Location"))
		}
		if did, want := s.Fake.Did[len(s.Fake.Did)-1], fmt.Sprintf(tt.did, tt.of.ID); did != want {
			t.Errorf("did %q, want %q", did, want)
		}
	}
	for _, bad := range []url.Values{{"when": {"later"}}, {"from": {"best"}}} {
		if a := s.Do("POST", "/runs/"+string(running.ID)+"/pause", bad); a.Status != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", bad, a.Status)
		}
	}
	if text := s.Get("/runs/"+string(running.ID)+"/stop", 200).Doc.Find("[data-confirm]").Text(); !strings.Contains(text, "the last checkpoint may be cut off") {
		t.Errorf("a stop does not warn: %s", text)
	}
}

func TestRetryWithChangesContinuesFromTheNewestCheckpointAndMarksIt(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Config = "name_model = \"150M\"\n[train]\nmicro_bs = 8\n"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/new?retry="+string(r.ID), 200)
	if got := a.Doc.Find(`[name="ckpt.resume"]`).AttrOr("value", ""); got != "models/checkpoints/x/step_450" {
		t.Errorf("it continues from %q", got)
	}
	for field, want := range map[string]bool{"ckpt.resume": true, "train.micro_bs": false} {
		if text := a.Doc.Find(fmt.Sprintf(`[data-field=%q] .field-head`, field)).Text(); strings.Contains(text, "changed from "+r.Name) != want {
			t.Errorf("%s is marked: %s", field, text)
		}
	}
	if origin := a.Doc.Find(`#run-form [name=origin]`).AttrOr("value", ""); origin != "run:"+string(r.ID) {
		t.Errorf("its origin is %q", origin)
	}
}
