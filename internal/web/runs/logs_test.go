package runs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestLogLinesArePlainOnTheServerAndKeepTheirColoursForTheScript(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Log = []run.LogLine{
		{Pos: 7, Rank: 0, Stream: "stderr", At: webtest.Now, Text: "\x1b[32mINFO\x1b[0m <b>step</b>"},
		{Pos: 9, Rank: 1, Stream: "stdout", At: webtest.Now, Text: "plain"},
		{Pos: 10, Rank: 0, Stream: "stdout", At: webtest.Now, Text: `COTRAIN {"v":1}`},
	}
	if plain := s.Get("/runs/"+string(r.ID)+"/logs", 200); plain.Count(".log-machine") != 0 || plain.Count(".log-line") != 2 {
		t.Error("the line for the console is shown to people")
	}
	a := s.Get("/runs/"+string(r.ID)+"/logs?machine=1", 200)
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
	one := s.Get("/runs/"+string(r.ID)+"/logs?worker=1", 200)
	if one.Count(".log-line") != 1 || one.Text(t, `[name="worker"] [selected]`) != "Worker 1" {
		t.Errorf("worker 1: %d lines, chosen %q", one.Count(".log-line"), one.Text(t, `[name="worker"] [selected]`))
	}
	for _, q := range []string{"?worker=-5", "?worker=x", "?worker=99999999999999999999"} {
		if all := s.Get("/runs/"+string(r.ID)+"/logs"+q, 200); all.Count(`[name="worker"] [selected]`) != 0 || all.Count(".log-line") != 2 {
			t.Errorf("%s: not all workers", q)
		}
	}
}

func TestTheLogIsFilteredWithoutAScript(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range 1000 {
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, Stream: []string{"stdout", "stderr"}[i%2], At: webtest.Now.Add(time.Duration(i) * time.Second), Text: fmt.Sprintf("%s line %d", []string{"[INFO]", "[WARNING]", "[ERROR]"}[i%3], i)})
	}
	s.Fake.AllTries = []run.Attempt{{RunID: r.ID, Number: 1, CreatedAt: webtest.Now}}
	s.Fake.AllEvents = []run.Event{{RunID: r.ID, Seq: 1, At: webtest.Now, Kind: "checkpoint_saved", Level: "info", Message: "saved"}, {RunID: r.ID, Seq: 2, At: webtest.Now, Kind: "note", Level: "info", Message: "of no place"}}
	path := "/runs/" + string(r.ID) + "/logs"
	for query, want := range map[string]int{
		"": 300, "?level=error&from=0": 300, "?level=error&worker=1&from=0": 166, "?stream=stderr&level=warning&from=200": 133, "?q=line+99&only=1": 11, "?q=LINE+99&only=1&case=1": 0,
		"?q=9{2}$&regexp=1&only=1": 10, "?hide=[0-8]$": 100, "?q=line+99": 300, "?since=" + webtest.Now.Add(990*time.Second).Format(time.RFC3339): 10,
	} {
		if got := s.Get(path+query, 200).Count(".log-line"); got != want {
			t.Errorf("%s: %d lines, want %d", query, got, want)
		}
	}
	middle := s.Get(path+"?from=300", 200)
	if got := middle.Doc.Find(".log-more").First().AttrOr("href", "") + " " + middle.Doc.Find(".log-more").Last().AttrOr("href", ""); got != path+"?from=0 "+path+"?from=600" {
		t.Errorf("to other lines: %s", got)
	}
	chosen := s.Get(path+"?q=a|b&regexp=1&only=1&level=error&hide=x&worker=1", 200)
	if got := chosen.Doc.Find("[data-log-download]").First().AttrOr("href", ""); got != "/runs/"+string(r.ID)+"/log.txt?format=text&hide=x&level=error&machine=0&q=a%7Cb&regexp=1&worker=1" {
		t.Errorf("the download is of %s", got)
	}
	if chosen.Count(`[name="regexp"][checked]`) != 1 || chosen.Count(`[name="case"][checked]`) != 0 || chosen.Doc.Find(`[name="hide"]`).AttrOr("value", "") != "x" {
		t.Error("the fields do not have what was asked")
	}
	if got := chosen.Doc.Find("[data-log-place]").Length(); got != 2 {
		t.Errorf("%d places, want the attempt and the checkpoint", got)
	}
	for field, query := range map[string]string{"q": "?q=a(&regexp=1&only=1", "hide": "?hide=*"} {
		a := s.Get(path+query, 200)
		if text := a.Text(t, "#log-problem-"+field); !strings.Contains(text, "is no regular expression") || a.Count(".log-line") != 300 || a.Count(`[name="`+field+`"][aria-invalid]`) != 1 {
			t.Errorf("%s: %q, %d lines", query, text, a.Count(".log-line"))
		}
	}
	for _, query := range []string{"?level=loud", "?stream=x", "?since=x", "?from=-1", "?from=x", "?line=x", "?line=3-x", "?line=-3"} {
		s.Get(path+query, 422)
	}
}

func TestARangeOfLinesIsMarked(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range 20 {
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(10 * (i + 1)), At: webtest.Now, Text: fmt.Sprint("line ", i)})
	}
	for query, want := range map[string]int{"?line=50": 1, "?line=50-80": 4, "?line=80-50": 4, "?line=": 0} {
		if got := s.Get("/runs/"+string(r.ID)+"/logs"+query, 200).Count(".log-line[aria-current]"); got != want {
			t.Errorf("%s: %d lines, want %d", query, got, want)
		}
	}
}

func TestLongLinesAreCutForTheScript(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	s.Fake.Log = []run.LogLine{{Pos: 1, At: webtest.Now, Text: strings.Repeat("ü", 100)}, {Pos: 2, At: webtest.Now, Text: "short loss"}}
	var got struct {
		Lines []struct {
			Text  string
			Bytes int
			Marks [][2]int
		}
	}
	if err := json.Unmarshal([]byte(s.Get("/runs/"+string(r.ID)+"/log/lines?text=21&mark=loss", 200).Body), &got); err != nil {
		t.Fatal(err)
	}
	if l := got.Lines[0]; l.Text != strings.Repeat("ü", 10) || l.Bytes != 200 {
		t.Errorf("%q of %d bytes", l.Text, l.Bytes)
	}
	if l := got.Lines[1]; l.Text != "short loss" || l.Bytes != 0 || fmt.Sprint(l.Marks) != "[[6 10]]" {
		t.Errorf("%+v", l)
	}
	for _, q := range []string{"?text=0", "?text=x", "?limit=0", "?limit=2001", "?limit=x", "?from=-1", "?pos=x"} {
		s.Get("/runs/"+string(r.ID)+"/log/lines"+q, 422)
	}
}

func TestTheWholeLogIsDownloaded(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	const lines = 20_017 // more than is written at once
	for i := range lines {
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, Text: fmt.Sprint("line ", i+1)})
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

func TestTheLogIsShownAroundAStepOrAMoment(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	var loss []run.CurvePoint
	for i := range 1000 {
		at := webtest.Now.Add(time.Duration(i) * time.Second)
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(3*i + 7), Rank: i % 2, At: at, Text: fmt.Sprint("line ", i)})
		if i%10 == 0 {
			loss = append(loss, run.CurvePoint{Step: int64(i / 10), At: at})
		}
	}
	s.Fake.Curves = map[string][]run.CurvePoint{"loss": loss}
	path := "/runs/" + string(r.ID) + "/logs"
	for query, want := range map[string]string{
		"?step=50": "line 500, of 350 to 649, true true", "?step=50&worker=1": "line 501, of 201 to 799, true true", "?step=0": "line 0, of 0 to 299, false true", "?step=99": "line 990, of 700 to 999, true false",
		"?at=" + webtest.Now.Add(123500*time.Millisecond).Format(time.RFC3339Nano): "line 124, of 0 to 299, false true", "?at=2001-01-01T00:00:00Z": "line 0, of 0 to 299, false true",
		"?at=2099-01-01T00:00:00Z": "line 999, of 700 to 999, true false", "?line=307": "line 100, of 0 to 299, false true",
	} {
		a := s.Get(path+query, 200)
		number := func(selector string) string {
			return strings.TrimPrefix(strings.TrimSpace(a.Doc.Find(selector+" .log-text").Text()), "line ")
		}
		got := fmt.Sprintf("line %s, of %s to %s, %t %t", number(".log-line[aria-current]"), number(".log-line:first-child"), number(".log-line:last-child"), strings.Contains(a.Doc.Find(".log-more").Text(), "Earlier"), strings.Contains(a.Doc.Find(".log-more").Text(), "Later"))
		if got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	s.Fake.Log[620].Text = "step: 62, loss: 2.5" // printed before the last worker reported the step
	s.Fake.Curves["loss"][62].At = webtest.Now.Add(640 * time.Second)
	if got := s.Get(path+"?step=62&metric=loss", 200).Text(t, ".log-line[aria-current] .log-text"); got != "step: 62, loss: 2.5" {
		t.Errorf("the line %q is shown, not the one that names the step", got)
	}
	if a := s.Get(path+"?step=5000", 200); a.Count(".log-line[aria-current]") != 0 || a.Count(".log-line") != 300 {
		t.Error("a step that is still to come is not at the end")
	}
	for _, query := range []string{"?step=x", "?step=-1", "?step=99999999999999999999", "?at=now", "?at=%3Cb%3E"} {
		s.Get(path+query, 422)
	}
	s.Fake.Log = nil
	if a := s.Get(path+"?step=50", 200); a.Count(".log-line") != 0 || a.Text(t, "[data-log-empty]") != "No lines" {
		t.Error("a log without lines shows some")
	}
}
