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
	a := s.Get("/runs/"+string(r.ID)+"/logs", 200)
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
	if one.Count(".log-line") != 1 || one.Text(t, `.log .tab[aria-current]`) != "Worker 1" {
		t.Errorf("worker 1: %d lines, tab %q", one.Count(".log-line"), one.Text(t, `.log .tab[aria-current]`))
	}
	for _, q := range []string{"?worker=-5", "?worker=x", "?worker=99999999999999999999"} {
		if got := s.Get("/runs/"+string(r.ID)+"/logs"+q, 200).Text(t, `.log .tab[aria-current]`); got != "All workers" {
			t.Errorf("%s: tab %q", q, got)
		}
	}
}

func TestLogPagesGoBackInTime(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	r := webtest.Run(run.Running)
	s.Fake.AllRuns = []run.Run{r}
	for i := range 25 {
		s.Fake.Log = append(s.Fake.Log, run.LogLine{Pos: run.LogPos(i + 1), Rank: i % 2, At: webtest.Now, Text: fmt.Sprint("line ", i+1)})
	}
	read := func(query string) (first, last run.LogPos, n int, more bool) {
		var got struct {
			Lines []run.LogLine
			More  bool
		}
		if err := json.Unmarshal([]byte(s.Get("/runs/"+string(r.ID)+"/log.json"+query, 200).Body), &got); err != nil {
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
		s.Get("/runs/"+string(r.ID)+"/log.json"+q, 422)
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
		"?step=50": "line 500, of 350 to 649, true true", "?step=50&worker=1": "line 501, of 201 to 799, true true", "?step=0": "line 0, of 0 to 149, false true", "?step=99": "line 990, of 840 to 999, true false",
		"?at=" + webtest.Now.Add(123500*time.Millisecond).Format(time.RFC3339Nano): "line 124, of 0 to 273, false true", "?at=2001-01-01T00:00:00Z": "line 0, of 0 to 149, false true",
		"?at=2099-01-01T00:00:00Z": "line 999, of 850 to 999, true false", "?line=307": "line 100, of 0 to 249, false true",
	} {
		a := s.Get(path+query, 200)
		number := func(selector string) string {
			return strings.TrimPrefix(strings.TrimSpace(a.Doc.Find(selector+" .log-text").Text()), "line ")
		}
		log := a.Doc.Find("#logs")
		got := fmt.Sprintf("line %s, of %s to %s, %s %s", number(".log-line[aria-current]"), number(".log-line:first-child"), number(".log-line:last-child"), log.AttrOr("data-more", ""), log.AttrOr("data-later", ""))
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
	if a := s.Get(path+"?step=50", 200); a.Count(".log-line") != 0 || a.Text(t, "[data-log-empty]") != "No lines yet" {
		t.Error("a log without lines shows some")
	}
}
