package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

func TestMetricsArePrintedAsDocumented(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	c.SetMetric(id, "loss", []points.WorkerPoint{{Rank: 0, Step: 1, Value: 4.5, At: 1000}, {Rank: 0, Step: 2, Value: run.Number(math.NaN())}, {Rank: 1, Step: 2, Value: 4}}, nil)
	c.SetMetric(id, "mfu", []points.WorkerPoint{{Rank: 0, Step: 2, Value: 30}}, nil)
	c.SetMetric(id, "system/cpu", []points.WorkerPoint{{Rank: 0, Step: 1_700_000_000_000, Value: 0.5}}, nil)
	r := c.cotrain("run", "metrics", string(id), "--metric", "loss", "--format", "json").want(t, exitDone)
	want := `{"run":"` + string(id) + `","metrics":{"loss":[{"worker":0,"step":1,"value":4.5,"at":"1970-01-01T00:00:01Z"},` +
		`{"worker":0,"step":2,"value":"NaN","at":"1970-01-01T00:00:00Z"},{"worker":1,"step":2,"value":4,"at":"1970-01-01T00:00:00Z"}]}}` + "\n"
	if r.out != want {
		t.Errorf("got  %swant %s", r.out, want)
	}
	if got := fromJSON[client.MetricsPage](t, c.cotrain("run", "metrics", string(id), "--format", "json")); len(got.Metrics["loss"]) != 3 || len(got.Metrics["mfu"]) != 1 {
		t.Errorf("%+v", got)
	}
	if got := fromJSON[client.MetricsPage](t, c.cotrain("run", "metrics", string(id), "--format", "json", "--metric", "mfu,nothing").want(t, exitNotFound, `no metric "nothing"; it has loss, mfu, system/cpu`)); len(got.Metrics) != 2 || got.Metrics["nothing"] == nil {
		t.Errorf("%+v", got)
	}
	r = c.cotrain("run", "metrics", string(id)).want(t, exitDone)
	var rows []string
	for line := range strings.Lines(r.out) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(rows, []string{"METRIC WORKER VALUES LAST STEP LAST", "loss 0 2 2 NaN", "loss 1 1 2 4", "mfu 0 1 2 30", "system/cpu 0 1 - 0.5"}) {
		t.Errorf("%q", rows)
	}
}

func TestMetricsAreFilteredByWorkerAndStep(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := string(c.Add(run.Run{State: run.Running, Shape: run.Shape{Nodes: 2}}))
	var values []points.WorkerPoint
	for rank := range 2 {
		for step := range int64(4) {
			values = append(values, points.WorkerPoint{Rank: rank, Step: step, Value: run.Number(step)})
		}
	}
	c.SetMetric(run.ID(id), "loss", values, nil)
	for args, want := range map[string]string{
		"--worker 1":                    "loss 1 4 3 3",
		"--from 2":                      "loss 0 2 3 3|loss 1 2 3 3",
		"--worker 0 --from 3":           "loss 0 1 3 3",
		"--from 4":                      "",
		"--metric loss,loss --worker 1": "loss 1 4 3 3",
		"--metric loss --metric loss":   "loss 0 4 3 3|loss 1 4 3 3",
		"--from 9223372036854775807":    "",
		"--worker=-1 --from 0":          "loss 0 4 3 3|loss 1 4 3 3",
	} {
		r := c.cotrain(append([]string{"run", "metrics", id}, strings.Fields(args)...)...).want(t, exitDone)
		var rows []string
		for _, line := range strings.Split(strings.TrimSpace(r.out), "\n")[1:] {
			rows = append(rows, strings.Join(strings.Fields(line), " "))
		}
		if got := strings.Join(rows, "|"); got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	got := fromJSON[client.MetricsPage](t, c.cotrain("run", "metrics", id, "--worker", "1", "--from", "3", "--format", "json").want(t, exitDone))
	if loss := got.Metrics["loss"]; len(loss) != 1 || loss[0].Worker != 1 || loss[0].Step != 3 {
		t.Errorf("%+v", got)
	}
	other := string(c.Add(run.Run{State: run.Running, Shape: run.Shape{Nodes: 1}}))
	for _, format := range []string{"table", "json", "csv", "jsonl"} {
		if r := c.cotrain("run", "metrics", id, "--worker", "2", "--format", format).want(t, exitNotFound, "no worker 2", "0 to 1"); r.out != "" {
			t.Errorf("%s: %q", format, r.out)
		}
	}
	if r := c.cotrain("run", "metrics", id, other, "--worker", "2", "--format", "csv").want(t, exitRefused, "none of the runs", "0 to 1"); r.out != "" {
		t.Errorf("of two: %q", r.out)
	}
	c.cotrain("run", "metrics", other, id, "--worker", "1", "--format", "csv").want(t, exitDone)
	c.cotrain("run", "metrics", id, "--worker=-2").want(t, exitUsage, "--worker")
	c.cotrain("run", "metrics", id, "--from=-1").want(t, exitUsage, "--from")
}

func TestMetricsAreExportedToAFile(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var ids []string
	for n := range 2 {
		id := c.Add(run.Run{State: run.Succeeded, Shape: run.Shape{Nodes: 2}})
		ids = append(ids, string(id))
		c.SetMetric(id, "loss", []points.WorkerPoint{{Rank: 0, Step: 1, Value: run.Number(n), At: 1000}, {Rank: 1, Step: 1, Value: run.Number(math.NaN()), At: 1000}}, nil)
		c.SetMetric(id, "=mfu", []points.WorkerPoint{{Rank: 0, Step: 1, Value: 30, At: 1000}}, nil)
	}
	head, time := "run,metric,worker,step,time,value,attempt\n", "1970-01-01T00:00:01.000Z"
	if r := c.cotrain("run", "metrics", ids[0], ids[1], "--format", "csv", "--metric", "loss", "--worker", "0").want(t, exitDone); r.out != head+ids[0]+",loss,0,1,"+time+",0,1\n"+ids[1]+",loss,0,1,"+time+",1,1\n" {
		t.Errorf("CSV is %s", r.out)
	}
	c.cotrain("run", "metrics", ids[0], "--format", "csv").want(t, exitDone, ",'=mfu,", ",NaN,")
	file := filepath.Join(t.TempDir(), "m.parquet")
	c.cotrain("run", "metrics", ids[0], ids[1], "--format", "parquet", "-o", file).want(t, exitDone, "m.parquet")
	if b, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(b), "PAR1") || !strings.HasSuffix(string(b), "PAR1") {
		t.Errorf("the file is %d bytes, %v", len(b), err)
	}
	c.cotrain("run", "metrics", ids[0], "--format", "csv", "-o", file).want(t, exitUsage, "--force")
	c.cotrain("run", "metrics", ids[0], ids[1]).want(t, exitUsage, "--format csv")
	c.cotrain("run", "metrics", ids[0], "r-0000000000", "--format", "jsonl").want(t, exitNotFound)
}

// metricsServer is a console that tells of each request for values before it answers.
func (c *console) metricsServer(told func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	inner := c.handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/metrics") && r.URL.Query().Has("metric") && told(w, r) {
			return
		}
		inner.ServeHTTP(w, r)
	}))
	c.t.Cleanup(srv.Close)
	c.url = srv.URL
}

func longMetric(workers, steps int) (values []points.WorkerPoint) {
	for rank := range workers {
		for step := range int64(steps) {
			values = append(values, points.WorkerPoint{Rank: rank, Step: step, Value: run.Number(float64(step) / 4), At: step})
		}
	}
	return values
}

func TestALongMetricIsWrittenWhileItIsRead(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Succeeded})
	const steps, pages = metricsPage + 7, 5 // 4 of loss and 1 of mfu
	c.SetMetric(id, "loss", longMetric(3, steps), nil)
	c.SetMetric(id, "mfu", longMetric(1, 2), nil)
	var written, requests atomic.Int64
	c.onOutput = func(s string) { written.Add(int64(len(s))) }
	c.metricsServer(func(_ http.ResponseWriter, r *http.Request) bool {
		// What came with the pages before has been written, all but a buffer.
		if n, out := requests.Add(1), written.Load(); 1 < n && n <= pages && out < (n-2)*metricsPage*50 {
			t.Errorf("%d bytes are written before page %d", out, n)
		}
		return false
	})
	r := c.cotrain("run", "metrics", string(id), "--format", "json").want(t, exitDone)
	got := fromJSON[client.MetricsPage](t, r)
	if len(got.Metrics) != 2 || len(got.Metrics["mfu"]) != 2 || len(got.Metrics["loss"]) != 3*steps || requests.Load() != pages {
		t.Fatalf("%d metrics, %d values, %d requests", len(got.Metrics), len(got.Metrics["loss"]), requests.Load())
	}
	for i, p := range got.Metrics["loss"] {
		if p.Worker != i/steps || p.Step != int64(i%steps) || float64(p.Value) != float64(p.Step)/4 || p.At.UnixMilli() != p.Step {
			t.Fatalf("value %d is %+v", i, p)
		}
	}
	whole, err := json.Marshal(struct {
		Run     run.ID                    `json:"run"`
		Metrics map[string][]client.Point `json:"metrics"`
	}{got.Run, got.Metrics})
	if err != nil || r.out != string(whole)+"\n" {
		t.Errorf("the pieces are not what the whole is in one: %d bytes, want %d, %v", len(r.out), len(whole)+1, err)
	}
	table := c.cotrain("run", "metrics", string(id)).want(t, exitDone)
	if rows := strings.Split(table.out, "\n"); len(rows) != 6 || strings.Join(strings.Fields(rows[3]), " ") != fmt.Sprintf("loss 2 %d %d 5002", steps, steps-1) {
		t.Errorf("%s", table.out)
	}
}

func TestMetricsThatAreCutOffAreNoDocumentAndNoSuccess(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Succeeded})
	c.SetMetric(id, "loss", longMetric(1, 2*metricsPage), nil)
	c.metricsServer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Has("after") {
			panic(http.ErrAbortHandler)
		}
		return false
	})
	r := c.cotrain("run", "metrics", string(id), "--format", "json").want(t, exitFailed, "cannot reach the console")
	if json.Valid([]byte(r.out)) {
		t.Errorf("half of the values look like all of them: %d bytes", len(r.out))
	}
	if r := c.cotrain("run", "metrics", string(id)).want(t, exitFailed); r.out != "" {
		t.Errorf("a table of half of the values: %s", r.out)
	}
}

func TestATerminalNeverGetsControlCharactersOfAMetricsName(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Running})
	const evil = "loss\u202e\u0085\"<"
	c.SetMetric(id, evil, longMetric(1, 1), nil)
	c.terminal = true
	for _, format := range []string{"table", "json"} {
		r := c.cotrain("run", "metrics", string(id), "--format", format).want(t, exitDone, `\u202e`)
		if i := strings.IndexFunc(r.out, func(r rune) bool { return r != '\n' && unprintable(r) }); i >= 0 {
			t.Errorf("%s: a terminal gets %q", format, r.out[i:])
		}
		if format == "json" && len(fromJSON[client.MetricsPage](t, r).Metrics[evil]) != 1 {
			t.Errorf("%s", r.out)
		}
	}
}
