package api_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/hostile"
	"github.com/cotrain/cotrain/internal/metricfile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// exported reads an export in any format as rows; of CSV, names may begin with an apostrophe.
func exported(t *testing.T, format string, body []byte) (rows []metricfile.Row) {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v in %.300s", format, err, body)
		}
	}
	number := func(text string) *int64 {
		if text == "" {
			return nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		fail(err)
		return &n
	}
	at := func(text string) int64 {
		when, err := time.Parse(time.RFC3339Nano, text)
		fail(err)
		return when.UnixMilli()
	}
	switch format {
	case "parquet":
		rows, err := parquet.Read[metricfile.Row](bytes.NewReader(body), int64(len(body)))
		fail(err)
		return rows
	case "jsonl":
		for line := range strings.Lines(string(body)) {
			var r struct {
				metricfile.Row
				Time  string
				Value run.Number
			}
			fail(json.Unmarshal([]byte(line), &r))
			r.Row.Time, r.Row.Value = at(r.Time), float64(r.Value)
			rows = append(rows, r.Row)
		}
		return rows
	}
	table, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	fail(err)
	if strings.Join(table[0], ",") != "run,metric,worker,step,time,value,attempt" {
		t.Errorf("the header is %v", table[0])
	}
	for _, line := range table[1:] {
		v, err := strconv.ParseFloat(line[5], 64)
		fail(err)
		r := metricfile.Row{Run: line[0], Metric: line[1], Worker: int32(*number(line[2])), Step: number(line[3]), Time: at(line[4]), Value: v}
		if n := number(line[6]); n != nil {
			attempt := int32(*n)
			r.Attempt = &attempt
		}
		rows = append(rows, r)
	}
	return rows
}

func sameRow(a, b metricfile.Row) bool {
	step := a.Step == b.Step || a.Step != nil && b.Step != nil && *a.Step == *b.Step
	attempt := a.Attempt == b.Attempt || a.Attempt != nil && b.Attempt != nil && *a.Attempt == *b.Attempt
	value := math.Float64bits(a.Value) == math.Float64bits(b.Value) || math.IsNaN(a.Value) && math.IsNaN(b.Value)
	return a.Run == b.Run && a.Metric == b.Metric && a.Worker == b.Worker && step && a.Time == b.Time && value && attempt
}

// awkward are values that a table must not change.
var awkward = []float64{0, math.Copysign(0, -1), 1.0 / 3, -2.5, 4.123456789012345, 1e-320, math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}

func TestAnExportHoldsEveryValueExactly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var want []metricfile.Row
	var ids []string
	for n := range 2 {
		id := f.Add(run.Run{State: run.Running})
		ids = append(ids, string(id))
		for _, metric := range []string{"loss", "system/cpu"} {
			var pts []points.WorkerPoint
			for rank := range 3 {
				for i := range 7000 { // in all more than a page
					step, one := int64(i), int32(1)
					r := metricfile.Row{Run: string(id), Metric: metric, Worker: int32(rank), Step: &step, Time: int64(1000*i + n), Value: awkward[i%len(awkward)], Attempt: &one}
					if metric != "loss" {
						step += run.MaxStep + 1
						r.Step, r.Attempt = nil, nil
					}
					pts = append(pts, points.WorkerPoint{Rank: rank, Step: step, Value: run.Number(r.Value), At: r.Time})
					want = append(want, r)
				}
			}
			f.SetMetric(id, metric, pts, nil)
		}
	}
	for format, media := range map[string]string{"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet", "jsonl": "application/jsonl"} {
		w := f.do("GET", "/api/v1/metrics?run="+ids[0]+"&run="+ids[1]+"&format="+format, "")
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != media || w.Header().Get("Content-Disposition") != `attachment; filename="metrics.`+format+`"` {
			t.Errorf("%s: %d %v", format, w.Code, w.Header())
		}
		if got := exported(t, format, w.Body.Bytes()); !slices.EqualFunc(got, want, sameRow) {
			t.Errorf("%s has %d rows, want %d", format, len(got), len(want))
		}
		w = f.do("GET", "/api/v1/metrics?run="+ids[1]+"&metric=loss&metric=loss&worker=1&from=6990&format="+format, "")
		part := slices.DeleteFunc(slices.Clone(want), func(r metricfile.Row) bool {
			return r.Run != ids[1] || r.Metric != "loss" || r.Worker != 1 || *r.Step < 6990
		})
		if got := exported(t, format, w.Body.Bytes()); !slices.EqualFunc(got, part, sameRow) || !strings.Contains(w.Header().Get("Content-Disposition"), ids[1]) {
			t.Errorf("%s of a part has %d rows, want %d", format, len(got), len(part))
		}
	}
}

func TestNoNameOfAMetricBecomesAFormula(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Running})
	names := map[string]bool{}
	for _, name := range append(hostile.Texts(), "=1+1", "@SUM(A1)", "-2", "'; DROP TABLE runs; --", `"><script>alert(1)</script>`) {
		name = strings.ToValidUTF8(name, "?")
		names[name] = true
		f.SetMetric(id, name, []points.WorkerPoint{{Step: 1, Value: 1}}, nil)
	}
	for _, format := range []string{"csv", "parquet", "jsonl"} {
		rows := exported(t, format, f.do("GET", "/api/v1/metrics?run="+string(id)+"&format="+format, "").Body.Bytes())
		for _, r := range rows {
			name := r.Metric
			if format == "csv" {
				if name != "" && strings.ContainsRune("=+-@\t|%", rune(name[0])) {
					t.Errorf("a cell is %q", name)
				}
				name = strings.ReplaceAll(name, "\r\n", "\n")
			}
			if format != "csv" && !names[name] {
				t.Errorf("%s: there is no metric %q", format, name)
			}
		}
		if len(rows) != len(names) {
			t.Errorf("%s has %d rows, want %d", format, len(rows), len(names))
		}
	}
}

func TestAnExportThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := string(f.Add(run.Run{State: run.Running}))
	for query, code := range map[string]int{
		"": 422, "run=" + id + "&format=xlsx": 422, "run=r-0000000000": 404, "run=" + id + "&run=nonsense": 404, "run=" + id + "&worker=-2": 422, "run=" + id + "&from=-1": 422,
		strings.Repeat("run="+id+"&", 201): 422, "run=" + id + "&" + strings.Repeat("metric=a&", 65): 422,
	} {
		if w := f.do("GET", "/api/v1/metrics?"+query, ""); w.Code != code || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.60s: %d %v", query, w.Code, w.Header())
		}
	}
}

func TestSeriesAreAnsweredAsToCharts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Succeeded})
	var curve []run.CurvePoint
	for step := range int64(100) {
		v := float64(step) / 3
		curve = append(curve, run.CurvePoint{Step: step, Mean: v, Min: v, Max: v, Sum: v, Workers: 1})
	}
	curve[50].Mean, curve[50].Min, curve[50].Max = math.NaN(), math.NaN(), math.NaN()
	f.SetMetric(id, "loss", []points.WorkerPoint{{Step: 1}}, curve)
	type answer = client.SeriesAnswer
	got := get[answer](f, "/api/v1/runs/"+string(id)+"/series?metric=loss&metric=%3Dloss*2")
	if got.Run != id || len(got.Series) != 2 || len(got.Series[0].Step) != 100 || *got.Series[0].Value[7] != 7.0/3 || *got.Series[1].Value[7] != 14.0/3 || got.Series[0].Value[50] != nil || len(got.Series[0].Odd) != 1 {
		t.Errorf("the answer is %+v", got)
	}
	if got := get[answer](f, "/api/v1/runs/"+string(id)+"/series?metric=loss&columns=10&from=16&to=31.5"); len(got.Series[0].Step) != 8 || got.Series[0].Step[0] != 16 {
		t.Errorf("of a part there are steps %v", got.Series[0].Step)
	}
	for _, query := range []string{"metric=loss&metric=perplexity&metric=gone&columns=10", "metric=loss&x=elapsed&workers=each"} { // the document knows each member
		in := json.NewDecoder(f.do("GET", "/api/v1/runs/"+string(id)+"/series?"+query, "").Body)
		in.DisallowUnknownFields()
		if err := in.Decode(&answer{}); err != nil {
			t.Errorf("%s: %v", query, err)
		}
	}
	for query, field := range map[string]string{"metric=loss&from=NaN": "from", "metric=loss&from=2&to=1": "from", "metric=%3Dloss%3B": "metric", "metric=" + strings.Repeat("a", 10_000): "metric", "metric=loss&columns=0": "columns", "": "metric", "metric=loss&smooth=x": "smooth", "metric=loss&workers=x": "workers"} {
		w := f.do("GET", "/api/v1/runs/"+string(id)+"/series?"+query, "")
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"location":"query","field":"`+field) || w.Body.Len() > 3000 {
			t.Errorf("%.60s: %d %.300s", query, w.Code, w.Body)
		}
	}
}

func TestAnExportHoldsWhatWasReplacedIfAskedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.Add(run.Run{State: run.Succeeded})
	at := func(step int64, v float64) points.WorkerPoint {
		return points.WorkerPoint{Step: step, Value: run.Number(v)}
	}
	f.SetMetric(id, "loss", []points.WorkerPoint{at(1, 5), at(2, 4), at(3, 3)}, nil)
	f.SetReplaced(id, "loss", []points.WorkerPoint{at(2, 9), at(3, 8)})
	read := func(query string) (out []string) {
		for _, r := range exported(t, "csv", f.do("GET", "/api/v1/metrics?run="+string(id)+query, "").Body.Bytes()) {
			out = append(out, fmt.Sprint(*r.Step, " ", r.Value, " ", *r.Attempt))
		}
		return out
	}
	if got := read(""); !slices.Equal(got, []string{"1 5 1", "2 4 2", "3 3 2"}) {
		t.Errorf("%q", got)
	}
	if got := read("&replaced=true"); !slices.Equal(got, []string{"1 5 1", "2 4 2", "3 3 2", "2 9 1", "3 8 1"}) {
		t.Errorf("with what was replaced: %q", got)
	}
	if w := f.do("GET", "/api/v1/metrics?run="+string(id)+"&metric=nothing", ""); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"field":"metric"`) {
		t.Errorf("an unknown metric: %d %s", w.Code, w.Body)
	}
}
