package chart_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/reftrain"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const trained = `name_model = "debugmodel"
metric_logger_type = "wandb"
[train]
micro_bs = 2
[data]
fake = true
seq_length = 16
[optim]
batch_size = 4
warmup_steps = 5
total_steps = 20
[optim.optim]
lr = 5e-3
`

// TestChartsShowWhatTheReferenceTrainerComputed runs the reference trainer, and reads what it printed in two ways: its machine lines
// as JSON, and through parser, store and chart.
func TestChartsShowWhatTheReferenceTrainerComputed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(trained), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	none := func(string) string { return "" }
	if code := reftrain.Main(t.Context(), []string{"@" + file}, none, &out, io.MultiWriter(&errs, &out)); code != 0 {
		t.Fatalf("the trainer exits with %d: %s", code, errs.String())
	}
	want := map[string]map[int64]float64{}
	f := newFixture(t, openStore(t), 1, 1)
	parser := &logparse.Parser{}
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "COTRAIN "); ok {
			var fields map[string]any
			if err := json.Unmarshal([]byte(text), &fields); err != nil {
				t.Fatal(err)
			}
			step, stepped := fields["step"].(float64)
			for from, name := range map[string]string{"loss": "loss", "inner_lr": "learning_rate", "perplexity": "perplexity", "grad_norm": "grad_norm", "total_tokens": "total_tokens"} {
				if v, ok := fields[from].(float64); ok && stepped && fields["kind"] == "metrics" {
					if want[name] == nil {
						want[name] = map[int64]float64{}
					}
					want[name][int64(step)] = v
				}
			}
		}
		var pts []points.Point
		if res := parser.Line([]byte(line)); res.Kind == logparse.KindSample && res.Sample.HasStep {
			for _, m := range res.Sample.Metrics {
				pts = append(pts, points.Point{Metric: m.Name, Step: res.Sample.Step, Value: m.Value, Exact: res.Sample.Exact})
			}
			f.report(t, 1, 0, epoch, pts)
		}
	}
	f.settle(t)
	f.move(t, run.Succeeded)
	for name, steps := range want {
		if len(steps) != 20 {
			t.Errorf("the trainer reports %s at %d steps", name, len(steps))
		}
		q := query(name)
		q.Pixels = chart.MaxWidth
		var got struct {
			Series []struct {
				Step  []int64
				Value []float64
			}
		}
		a := f.answer(t, q)
		if err := json.Unmarshal(a.AppendJSON(nil), &got); err != nil || len(got.Series) != 1 || len(got.Series[0].Step) != len(steps) {
			t.Fatalf("%s is %+v, %v", name, got, err)
		}
		for i, step := range got.Series[0].Step {
			if math.Float64bits(got.Series[0].Value[i]) != math.Float64bits(steps[step]) {
				t.Errorf("%s at step %d is %v, the trainer computed %v", name, step, got.Series[0].Value[i], steps[step])
			}
		}
	}
	if len(want) != 5 {
		t.Errorf("the trainer reports %d metrics", len(want))
	}
	c, err := trainconf.Parse([]byte(trained))
	if err != nil {
		t.Fatal(err)
	}
	for step, v := range want["learning_rate"] {
		if planned := c.LearningRate()(step); math.Abs(planned-v) > 1e-15 {
			t.Errorf("the learning rate at step %d is planned at %v, and was %v", step, planned, v)
		}
	}
}
