package runs_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/runs"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestTheRunPageAnswersFirst(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	for selector, want := range map[string]string{
		"#run-headline[data-run-state=running] h1": "first try",
		"#run-headline .badge":                     "running",
		`.stats [data-metric="step"]`:              "500 / 1,000",
		`.stats [data-metric="loss"]`:              "3.14",
		`.stats [data-metric="throughput"]`:        "12.3 k tok/s",
		`.stats [data-metric="participants"]`:      "3 / 3",
		`.stats [data-metric="eta"]`:               "8 min 20 s",
		`#run-headline [data-metric="progress"]`:   "50 %",
		"[data-run-reason]":                        "All workers are running.",
		"#config-toml":                             `name_model = "150M"`,
	} {
		if got := a.Text(t, selector); got != want {
			t.Errorf("%s: %q, want %q", selector, got, want)
		}
	}
	if got, _ := a.Doc.Find("#run-headline progress").Attr("value"); got != "0.5" {
		t.Errorf("progress bar at %q", got)
	}
	page := a.Doc.Find("#run-page")
	for attr, want := range map[string]string{"data-topic": "run:" + string(r.ID), "data-seq": fmt.Sprint(s.Hub.Seq("run:" + string(r.ID))), "data-inner-steps": "50"} {
		if got, _ := page.Attr(attr); got != want {
			t.Errorf("%s = %q, want %q", attr, got, want)
		}
	}
	if a.Count(`[data-action="ask-stop"]`) != 1 || a.Count(`[data-action="ask-delete"]`) != 0 {
		t.Error("a running run can be stopped, not deleted")
	}
}

func TestAFailedRunShowsItsCauseAndCanBeDeleted(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Reason = "worker 1 ended with exit code 1"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	if got := a.Text(t, ".note-danger"); got != "Cause Worker 1 ended with exit code 1" {
		t.Errorf("cause %q", got)
	}
	if got := a.Text(t, `.stats [data-metric="eta"]`); got != "10 min 00 s" {
		t.Errorf("duration %q", got)
	}
	if a.Count(`[data-action="ask-stop"]`) != 0 || a.Count(`[data-action="ask-delete"]`) != 1 {
		t.Error("a failed run can be deleted, not stopped")
	}
}

func TestARunSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Failed)
	r.Project, r.Owner = "vision", "ann & bob"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	for fact, want := range map[string]string{"project": "/?project=vision", "owner": "/?owner=ann+%26+bob"} {
		if got := a.Doc.Find("#run-facts [data-fact="+fact+"] a").AttrOr("href", ""); got != want {
			t.Errorf("%s leads to %q", fact, got)
		}
	}
}

func TestASuccessThatIsNotCleanSaysSo(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Succeeded)
	s.Fake.AllRuns = []run.Run{r}
	if a := s.Get("/runs/"+string(r.ID), 200); a.Text(t, "[data-run-reason]") != "All workers finished." || a.Count(".note-warning") != 0 {
		t.Errorf("a clean one says %q", a.Text(t, "[data-run-reason]"))
	}
	if a := s.Get("/", 200); a.Count("[data-caveat]") != 0 {
		t.Error("a clean one is marked in the list")
	}
	s.Fake.AllRuns[0].Reason = "finished, but worker 1 on n1 exited with code 7 (step 10)"
	if got := s.Get("/runs/"+string(r.ID), 200).Text(t, "[data-run-reason] .note-warning"); got != "Warning Finished, but worker 1 on n1 exited with code 7 (step 10)" {
		t.Errorf("its page says %q", got)
	}
	if got := s.Get("/", 200).Text(t, "[data-caveat]"); got != "Finished, but worker 1 on n1 exited with code 7 (step 10)" {
		t.Errorf("the list says %q", got)
	}
}

func TestWorkersAreListedWithWhatTheyHave(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Degraded)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.AllWorkers = []run.Worker{
		{Rank: 0, NodeName: "n0", State: run.WorkerRunning, GPUs: []run.GPU{{Model: "nvidia/gpu/A100"}, {Model: "nvidia/gpu/A100"}}, StartedAt: webtest.Now},
		{Rank: 1, NodeName: "n1", State: run.WorkerFailed, Exited: true, ExitCode: 137, Signal: 9},
		{Rank: 2, NodeName: "n2", State: run.WorkerFailed, Exited: true, ExitCode: 137, OOM: true},
		{Rank: 3, NodeName: "n3", State: run.WorkerFailed, Exited: true, ExitCode: 1, Report: run.ExitReport{ExitCode: 7}},
		{Rank: 4, NodeName: "n4", State: run.WorkerFailed, Exited: true, ExitCode: 1, Report: run.ExitReport{Signal: 9}},
		{Rank: 5, NodeName: "n5", State: run.WorkerComplete, Stopping: true, Exited: true, ExitCode: 1},
	}
	a := s.Get("/runs/"+string(r.ID), 200)
	cell := func(rank, n int) string {
		return a.Text(t, fmt.Sprintf(`tr[data-worker-rank="%d"] > :nth-child(%d)`, rank, n))
	}
	for _, c := range []struct {
		rank, column int
		want         string
	}{{0, 2, "n0"}, {0, 3, "2 × A100"}, {0, 4, "running"}, {0, 6, "–"}, {1, 4, "failed"}, {1, 6, "137 (signal 9)"}, {2, 6, "out of memory"}, {3, 6, "7"}, {4, 6, "signal 9"}, {5, 4, "stopped"}, {5, 6, "stopped"}, {1, 3, "none"}} {
		if got := cell(c.rank, c.column); got != c.want {
			t.Errorf("worker %d, column %d: %q, want %q", c.rank, c.column, got, c.want)
		}
	}
	if a.Count(`tr[data-worker-rank="5"] .state-stopped`) != 1 {
		t.Error("a worker that was stopped has the colour of one that has completed its work")
	}
}

func TestWorkersThatHaveNoPlaceYetKeepTheirRows(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Pending)
	r.Reason = "needs 3 nodes with 2 x A100, the cluster has 2"
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	if n := a.Count("tr[data-worker-placeholder]"); n != 3 {
		t.Errorf("%d rows", n)
	}
	if got := a.Text(t, "[data-run-reason]"); got != "Needs 3 nodes with 2 x A100, the cluster has 2" {
		t.Errorf("reason %q", got)
	}
}

func TestLogLinesArePlainOnTheServerAndKeepTheirColoursForTheScript(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.LogLines = []run.LogLine{
		{Pos: 7, Rank: 0, Stream: "stderr", At: webtest.Now, Text: "\x1b[32mINFO\x1b[0m <b>step</b>"},
		{Pos: 9, Rank: 1, Stream: "stdout", At: webtest.Now, Text: "plain"},
		{Pos: 10, Rank: 0, Stream: "stdout", At: webtest.Now, Text: `COTRAIN {"v":1}`},
	}
	a := s.Get("/runs/"+string(r.ID), 200)
	if a.Count(".log-machine") != 1 || a.Count(`.log-machine[data-pos="10"]`) != 1 {
		t.Error("the line for the console is not told apart")
	}
	if got := a.Text(t, `.log-line[data-pos="7"] .log-text`); got != "INFO <b>step</b>" {
		t.Errorf("text %q", got)
	}
	if got, _ := a.Doc.Find(`.log-line[data-pos="7"]`).Attr("data-raw"); got != "␛[32mINFO␛[0m <b>step</b>" {
		t.Errorf("raw %q", got)
	}
	if _, ok := a.Doc.Find(`.log-line[data-pos="9"]`).Attr("data-raw"); ok {
		t.Error("a line without colours carries them")
	}
	one := s.Get("/runs/"+string(r.ID)+"?worker=1", 200)
	if one.Count(".log-line") != 1 || one.Text(t, `.log .tab[aria-current]`) != "Worker 1" {
		t.Errorf("worker 1: %d lines, tab %q", one.Count(".log-line"), one.Text(t, `.log .tab[aria-current]`))
	}
	for _, q := range []string{"?worker=-5", "?worker=x", "?worker=99999999999999999999"} {
		if got := s.Get("/runs/"+string(r.ID)+q, 200).Text(t, `.log .tab[aria-current]`); got != "All workers" {
			t.Errorf("%s: tab %q", q, got)
		}
	}
}

func TestARunThatDoesNotExistIsNotFoundOnEveryAddress(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	for _, id := range []string{"r-0000000000", "nonsense", "r-ABCDEFGHIJ", strings.Repeat("x", 2000)} {
		for _, rest := range []string{"", "/live", "/events", "/points", "/logs", "/log.txt", "/config.toml", "/stop", "/delete"} {
			if a := s.Do("GET", "/runs/"+id+rest, nil); a.Status != 404 {
				t.Errorf("%.20s%s: %d", id, rest, a.Status)
			}
		}
	}
}

func TestTheLiveSnapshotHoldsEveryLivePartAndTheSequenceBeforeIt(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Hub.PublishRun(r)
	a := s.Get("/runs/"+string(r.ID)+"/live", 200)
	for _, id := range []string{"run-headline", "run-workers", "run-facts", "run-events"} {
		if a.Count("[data-live] > #"+id) != 1 {
			t.Errorf("no %s", id)
		}
	}
	if got, _ := a.Doc.Find("[data-live]").Attr("data-seq"); got != fmt.Sprint(s.Hub.Seq(feed.RunTopic(r.ID))) {
		t.Errorf("sequence %s", got)
	}
	if a.Count("main") != 0 {
		t.Error("a whole page")
	}
}

func TestCurvesAreJoinedByStepAndKeepWhatIsNotANumber(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Progress.Step = 3 // step 4 is still to be reported by one
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Curves = map[string][]run.CurvePoint{
		"loss":              {{Step: 1, Mean: 4, Min: 3, Max: 5}, {Step: 3, Mean: math.NaN(), Min: math.NaN(), Max: math.Inf(1)}, {Step: 4, Mean: 9}},
		"tokens_per_second": {{Step: 2, Sum: 100}, {Step: 3, Sum: 200}, {Step: 4, Sum: 66}},
	}
	a := s.Get("/runs/"+string(r.ID)+"/points", 200)
	var got struct {
		Seq    int64
		Steps  []int64
		Series map[string]map[string][]any
	}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Steps) != "[1 2 3]" || got.Seq != s.Hub.Seq(feed.RunTopic(r.ID)) {
		t.Errorf("steps %v, sequence %d", got.Steps, got.Seq)
	}
	if text := fmt.Sprint(got.Series["loss"]["mean"], got.Series["loss"]["max"], got.Series["tokens_per_second"]["sum"]); text != "[4 <nil> NaN] [5 <nil> Infinity] [<nil> 100 200]" {
		t.Errorf("series %s", text)
	}
	s.Fake.Curves = nil
	if a := s.Get("/runs/"+string(r.ID)+"/points", 200); !strings.Contains(a.Body, `"steps":[]`) {
		t.Errorf("without points: %s", a.Body)
	}
}

func TestLogPagesGoBackInTime(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range 25 {
		s.Fake.LogLines = append(s.Fake.LogLines, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, At: webtest.Now, Text: fmt.Sprint("line ", i+1)})
	}
	read := func(query string) (first, last run.LogPos, n int, more bool) {
		var got struct {
			Lines []run.LogLine
			More  bool
		}
		if err := json.Unmarshal([]byte(s.Get("/runs/"+string(r.ID)+"/logs"+query, 200).Body), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Lines) == 0 {
			return 0, 0, 0, got.More
		}
		return got.Lines[0].Pos, got.Lines[len(got.Lines)-1].Pos, len(got.Lines), got.More
	}
	for query, want := range map[string]string{
		"?limit=10":                    "16 25 10 true",
		"?limit=10&before=16":          "6 15 10 true",
		"?limit=10&before=6":           "1 5 5 false",
		"?limit=5&before=1":            "0 0 0 false",
		"?limit=5&worker=1":            "16 24 5 true",
		"?limit=25":                    "1 25 25 false",
		"?limit=2000&before=999999999": "1 25 25 false",
		"?limit=10&after=0":            "1 10 10 true",
		"?limit=10&after=10":           "11 20 10 true",
		"?limit=10&after=20":           "21 25 5 false",
		"?limit=5&after=0&worker=1":    "2 10 5 true",
	} {
		first, last, n, more := read(query)
		if got := fmt.Sprint(first, last, n, more); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, q := range []string{"?limit=0", "?limit=2001", "?limit=x", "?before=-1", "?before=99999999999999999999", "?after=-1", "?after=x"} {
		s.Get("/runs/"+string(r.ID)+"/logs"+q, 422)
	}
}

func TestTheWholeLogIsDownloaded(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	const lines = runs.DownloadPage + 17
	for i := range lines {
		s.Fake.LogLines = append(s.Fake.LogLines, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, Text: fmt.Sprint("line ", i+1)})
	}
	a := s.Get("/runs/"+string(r.ID)+"/log.txt", 200)
	if n := strings.Count(a.Body, "\n"); n != lines || !strings.HasPrefix(a.Body, "[0] line 1\n[1] line 2\n") || !strings.HasSuffix(a.Body, fmt.Sprintf("line %d\n", lines)) {
		t.Errorf("%d lines, begins %.30q", n, a.Body)
	}
	if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="`+string(r.ID)+`.log"` {
		t.Errorf("file %q", got)
	}
	if one := s.Get("/runs/"+string(r.ID)+"/log.txt?worker=1", 200); !strings.HasPrefix(one.Body, "line 2\nline 4\n") {
		t.Errorf("worker 1 begins %.30q", one.Body)
	}
	if toml := s.Get("/runs/"+string(r.ID)+"/config.toml", 200); toml.Body != r.Config {
		t.Errorf("configuration %q", toml.Body)
	}
}

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

func TestARunThatHasEndedCountsTheWorkersItAskedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Stopped)
	r.Progress.Participants = 0 // none of them runs
	s.Fake.AllRuns = []run.Run{r}
	if got := s.Get("/runs/"+string(r.ID), 200).Text(t, `.stats [data-metric="participants"]`); got != "3" {
		t.Errorf("%q", got)
	}
}

func TestARunThatWaitsForItsTurnShowsWhereItStands(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Fake.AllRuns = []run.Run{{ID: "r-0000000009", Name: "mine", State: run.Queued, Reason: "needs 3 nodes", Shape: run.Shape{Nodes: 3}}}
	s.Fake.QueuePlace = &run.QueuePlace{Position: 5, Ahead: []run.Ahead{{ID: "r-0000000001", Name: "big"}, {ID: "r-0000000002", Name: "small"}}}
	page := s.Get("/runs/r-0000000009", 200)
	if got := strings.Join(strings.Fields(page.Text(t, "[data-run-line]")), " "); got != "5th in the queue behind big · small · 2 more" {
		t.Errorf("it says %q", got)
	}
	if got := page.Text(t, "[data-run-reason]"); got != "Needs 3 nodes" {
		t.Errorf("the reason is %q", got)
	}
	if n := page.Count(`[data-run-line] a[href="/runs/r-0000000001"]`); n != 1 {
		t.Errorf("%d links to the first", n)
	}
}

func TestTheRunPageShowsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	r.Shape.CPU, r.Shape.Memory = 4000, 8192
	r.Options = run.Options{Priority: 70, Retries: 2, MaxDuration: 9000, Env: map[string]string{"B": "<2>", "A": "1"}, Args: []string{"--x=1", "a b"}, Secrets: run.SecretNames{"HF_TOKEN", "WANDB_API_KEY"}}
	s.Fake.AllRuns = []run.Run{r}
	path := "/runs/" + string(r.ID)
	a := s.Get(path, 200)
	for key, want := range map[string]string{
		"shape": "3 nodes with 2 x A100", "preset": "debug-diloco", "diloco": "sync every 50 steps", "cpu": "4,000 MHz", "memory": "8.00 GiB", "priority": "70",
		"retries": "up to 2", "limit": "2h30m", "secrets": "HF_TOKEN, WANDB_API_KEY", "args": `--x=1 "a b"`, "env": "A= 1 B= <2>",
	} {
		if got := a.Text(t, "#run-request [data-request="+key+"]"); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if s.Get(path+"/live", 200).Count("#run-request") != 0 {
		t.Error("what never changes is sent again")
	}
	s.Fake.AllRuns[0].Options, s.Fake.AllRuns[0].Shape.CPU = run.Options{}, 0
	plain := s.Get(path, 200)
	for key, want := range map[string]string{"cpu": "100 MHz", "priority": "50", "retries": "none", "limit": "none"} {
		if got := plain.Text(t, "#run-request [data-request="+key+"]"); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if plain.Count("[data-request=env], [data-request=args], [data-request=secrets]") != 0 {
		t.Error("what was not asked for has a place")
	}
}

func TestARunThatWillBeTriedAgainSaysWhen(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Queued)
	r.Reason, r.NotBefore = "attempt 1 failed: worker 0 exited with code 1; trying again (attempt 2 of 3)", webtest.Now.Add(75*time.Second)
	s.Fake.AllRuns = []run.Run{r}
	a := s.Get("/runs/"+string(r.ID), 200)
	if got := strings.TrimSpace(a.Doc.Find("[data-run-reason] [data-next-attempt]").Text()); got != "Next attempt in 1 min 15 s" {
		t.Errorf("%q", got)
	}
	at := a.Doc.Find("[data-next-attempt] time[data-until]")
	if moment, _ := at.Attr("datetime"); moment != "2026-05-06T07:09:24Z" {
		t.Errorf("counts down to %q", moment)
	}
	s.Fake.AllRuns[0].NotBefore = webtest.Now.Add(-time.Second)
	if s.Get("/runs/"+string(r.ID), 200).Count("[data-next-attempt]") != 0 {
		t.Error("a time that is over is still to come")
	}
}

func TestASuccessThatIsWorthALookIsMarked(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	lost, nan, well := webtest.Run(run.Succeeded), webtest.Run(run.Succeeded), webtest.Run(run.Succeeded)
	lost.ID, nan.ID, well.ID = "r-0000000001", "r-0000000002", "r-0000000003"
	lost.Reason, nan.Progress.Loss = "worker 1 was lost at step 300", math.NaN()
	s.Fake.AllRuns = []run.Run{well, nan, lost}
	for id, want := range map[run.ID]string{lost.ID: "Worker 1 was lost at step 300", nan.ID: "The last loss is NaN: training diverged."} {
		a := s.Get("/runs/"+string(id), 200)
		if got := a.Text(t, "[data-run-warning] .note-warning"); got != "Warning "+want {
			t.Errorf("%s: %q", id, got)
		}
		if a.Count("#run-headline .badge.state-warned[data-state=succeeded]") != 1 || a.Count("#run-headline .badge.state-succeeded") != 0 {
			t.Errorf("%s is plain green", id)
		}
	}
	live := webtest.Run(run.Degraded)
	live.ID, live.Reason, live.Progress.Loss, live.Diverged = "r-0000000004", "worker 1 was lost", math.NaN(), &run.Diverged{Step: 4, Rank: 1}
	s.Fake.AllRuns = append(s.Fake.AllRuns, live)
	if got, want := s.Get("/runs/"+string(live.ID), 200).Text(t, "[data-run-warning] .note-warning"), "Warning The loss is NaN since step 4; worker 1 was lost"; got != want {
		t.Errorf("while it runs: %q", got)
	}
	s.Fake.AllRuns = s.Fake.AllRuns[:3]
	if a := s.Get("/runs/"+string(well.ID), 200); a.Count("[data-run-warning]") != 0 || a.Text(t, "[data-run-reason]") != "All workers finished." || a.Count("#run-headline .badge.state-succeeded") != 1 {
		t.Error("a success without a warning is marked")
	}
	list := s.Get("/", 200)
	if list.Count("tbody .badge.state-warned") != 2 || list.Text(t, "#run-"+string(nan.ID)+" .badge") != "succeeded The last loss is NaN: training diverged." {
		t.Errorf("%d marks in the list", list.Count("tbody .badge.state-warned"))
	}
}
