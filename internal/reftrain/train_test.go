package reftrain

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// mean is the mean loss over the steps from a to b.
func mean(l map[int64]float64, a, b int64) float64 {
	sum := 0.0
	for s := a; s <= b; s++ {
		sum += l[s]
	}
	return sum / float64(b-a+1)
}

// finished runs all workers of a cluster to the end and returns their losses.
func finished(c *cluster, extra ...string) []map[int64]float64 {
	c.t.Helper()
	var out []map[int64]float64
	for _, w := range c.all(extra...) {
		w.mustEnd(0)
		out = append(out, w.losses())
	}
	return out
}

func TestLossFallsInAShortRun(t *testing.T) {
	t.Parallel()
	l := finished(newCluster(t, tiny(150, ""), 1))[0]
	if first, last := l[1], mean(l, 130, 150); len(l) != 150 || last > first-1.5 {
		t.Errorf("%d steps, loss from %.2f to %.2f; want 150 and a fall of more than 1.5", len(l), first, last)
	}
}

func TestRunsRepeatBitForBit(t *testing.T) {
	t.Parallel()
	config := tiny(40, "[diloco]\ninner_steps = 10\ncompression = \"uint8\"\n")
	a, b := finished(newCluster(t, config, 3)), finished(newCluster(t, config, 3))
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two runs of one configuration differ:\n%s", diff)
	}
	if cmp.Equal(a[0], a[1]) {
		t.Error("two workers of a run saw the same data")
	}
}

// The tolerance that the package comment states.
const dilocoTolerance = 0.10

func TestDiLoCoEndsNearSingleWorkerTraining(t *testing.T) {
	t.Parallel()
	preset := func(batch int, more string) string {
		return fmt.Sprintf("name_model = \"debugmodel\"\n[train]\nmicro_bs = 8\n[data]\nfake = true\nseq_length = 32\n"+
			"[optim]\nbatch_size = %d\nwarmup_steps = 10\ntotal_steps = 100\n[optim.optim]\nlr = 5e-3\n%s", batch, more)
	}
	single := mean(finished(newCluster(t, preset(8, ""), 1))[0], 81, 100)
	for workers, compression := range map[int]string{2: "uint8", 3: "no"} {
		got := 0.0
		for _, l := range finished(newCluster(t, preset(8, "[diloco]\ninner_steps = 20\ncompression = \""+compression+"\"\n"), workers)) {
			got += mean(l, 81, 100) / float64(workers)
		}
		t.Logf("single worker %.4f, %d workers with compression %s %.4f", single, workers, compression, got)
		if math.Abs(got-single) > dilocoTolerance {
			t.Errorf("%d workers, compression %s: loss %.4f, single worker %.4f", workers, compression, got, single)
		}
	}
}

func TestDataParallelWorkersEqualOneWithTheWholeBatch(t *testing.T) {
	t.Parallel()
	whole := finished(newCluster(t, tiny(30, ""), 1), "--optim.batch_size", "8")[0]
	// Each worker reports the loss over its half of the batch, by its printed line: only rank 0 has a metric logger.
	c := newCluster(t, tiny(30, ""), 2)
	ws := c.all()
	for _, w := range ws {
		w.mustEnd(0)
	}
	if len(ws[0].losses()) != 30 || len(ws[1].losses()) != 0 {
		t.Errorf("metrics of %d and %d steps, want 30 from worker 0 alone", len(ws[0].losses()), len(ws[1].losses()))
	}
	a, b := printedLosses(ws[0]), printedLosses(ws[1])
	if len(whole) != 30 {
		t.Errorf("one worker has %d steps", len(whole))
	}
	for step, want := range whole {
		if got := (a[step] + b[step]) / 2; math.Abs(got-want) > 1e-4 {
			t.Errorf("step %d: mean over two workers %.6f, one with the whole batch %.6f", step, got, want)
		}
	}
}

func printedLosses(w *worker) map[int64]float64 {
	out := map[int64]float64{}
	for _, m := range stepLine.FindAllStringSubmatch(w.err.String(), -1) {
		var step int64
		var loss float64
		_, _ = fmt.Sscan(m[1], &step) // digits only, by the pattern
		_, _ = fmt.Sscan(m[2], &loss)
		out[step] = loss
	}
	return out
}

func TestAStoppedRunResumesBitForBit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := finished(newCluster(t, tiny(40, ""), 1))[0]

	c := newCluster(t, tiny(40, fmt.Sprintf("[ckpt]\npath = %q\ninterval = 10\n", dir)), 1)
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "hang@17"}
	w := c.all()[0]
	w.sees("step: 17,")
	w.stop()
	w.mustEnd(143)
	w.sees("Saved checkpoint to " + filepath.Join(dir, "step_17") + " in ")
	for _, from := range []string{"step_10", "step_17"} {
		r := newCluster(t, c.toml, 1).all("--ckpt.resume", filepath.Join(dir, from))[0]
		r.mustEnd(0)
		r.sees("Loaded checkpoint from " + filepath.Join(dir, from) + " in ")
		got := w.losses()
		maps.DeleteFunc(got, func(s int64, _ float64) bool { return r.losses()[s] != 0 })
		maps.Copy(got, r.losses())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("resumed from %s (-never stopped +resumed):\n%s", from, diff)
		}
	}
}

func TestDiLoCoResumesBitForBit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := tiny(60, fmt.Sprintf("[diloco]\ninner_steps = 20\n[ckpt]\npath = %q\ninterval = 20\n", dir))
	want := finished(newCluster(t, config, 2), "--ckpt.path", t.TempDir())

	// Stopped in the middle of an inner loop, the workers at different steps.
	c := newCluster(t, config, 2)
	c.env = map[string]string{"COTRAIN_TRAINER_FAULT": "hang@27:0,hang@31:1"}
	ws := c.all()
	ws[0].sees("step: 27,")
	ws[1].sees("step: 31,")
	for _, w := range ws {
		w.stop()
	}
	for _, w := range ws {
		w.mustEnd(143)
	}
	for _, from := range []string{"step_20", "step_27"} {
		rs := newCluster(t, config, 2).all("--ckpt.resume", filepath.Join(dir, from), "--ckpt.path", t.TempDir())
		for i, r := range rs {
			r.mustEnd(0)
			got := r.losses()
			for s := range got {
				if got[s] != want[i][s] {
					t.Errorf("worker %d resumed from %s: step %d has loss %v, never stopped %v", i, from, s, got[s], want[i][s])
				}
			}
			first := slices.Min(slices.Collect(maps.Keys(got)))
			if wantFirst := map[string][]int64{"step_20": {21, 21}, "step_27": {28, 32}}[from][i]; first != wantFirst || got[60] == 0 {
				t.Errorf("worker %d resumed from %s with step %d, want %d, to 60", i, from, first, wantFirst)
			}
		}
	}
}

func TestAnIncompleteCheckpointEndsTheRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := tiny(10, fmt.Sprintf("[ckpt]\npath = %q\ninterval = 10\n", dir))
	finished(newCluster(t, config, 1))
	if err := os.Truncate(filepath.Join(dir, "step_10", shardName(0)), 100); err != nil {
		t.Fatal(err)
	}
	w := newCluster(t, config, 1).all("--ckpt.resume", filepath.Join(dir, "step_10"))[0]
	w.mustEnd(1)
	w.sees("[INFO] [Rank 0] Caught an exception, terminating children\n")
	w.sees("checkpoint is incomplete: " + filepath.Join(dir, "step_10", shardName(0)))
}

func TestDataThatIsNotThereEndsTheRunAsItWouldTheCore(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, name := range []string{"datasets/no-such-data", "./no-such-data", "/no/such/data", "allenai/c4,/no/such/data", empty} {
		w := newCluster(t, tiny(4, ""), 1).all("--data.fake", "false", "--data.dataset_name_or_paths", name)[0]
		w.mustEnd(1)
		w.sees("[INFO] [Rank 0] Caught an exception, terminating children\n")
		w.sees("[INFO] [Rank 0] FileNotFoundError: Couldn't find any data file at ")
		if len(w.losses()) != 0 {
			t.Errorf("%s: it trained", name)
		}
	}
	w := newCluster(t, tiny(4, ""), 1).all("--data.fake", "false", "--data.dataset_name_or_paths", "allenai/c4")[0]
	w.mustEnd(0)
}

func TestAFinishedRunResumedIsFinished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := tiny(10, fmt.Sprintf("[ckpt]\npath = %q\ninterval = 10\n", dir))
	finished(newCluster(t, config, 1))
	if l := finished(newCluster(t, config, 1), "--ckpt.resume", filepath.Join(dir, "step_10"))[0]; len(l) != 0 {
		t.Errorf("it trained on: %v", l)
	}
}

func TestLinesAreCotrainCores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := newCluster(t, tiny(4, fmt.Sprintf("[diloco]\ninner_steps = 2\n[ckpt]\npath = %q\ninterval = 2\n", dir)), 1)
	w := c.all()[0]
	w.mustEnd(0)
	const f = `\d+(\.\d+)?(e[-+]\d+)?`
	patterns := []string{
		`Peak FLOPS used for computing MFU: 1\.000e\+10`, `Number of parameters: \d+`,
		`Elastic Device mesh init done with 1 peers in ` + f + ` seconds`, `global_pg size : 1, local_pg size: 1`,
	}
	for outer := range 2 {
		first := `(, tokens_per_second: \d+\.\d\d, mfu: \d+\.\d\d)`
		if outer == 0 {
			first = ""
		}
		patterns = append(patterns, fmt.Sprintf(`outer_step step: %d`, outer),
			fmt.Sprintf(`step: %d, loss: \d\.\d{4}%s, diloco_peers: 1`, 2*outer+1, first),
			fmt.Sprintf(`step: %d, loss: \d\.\d{4}, tokens_per_second: \d+\.\d\d, mfu: \d+\.\d\d, diloco_peers: 1`, 2*outer+2),
			`Sync psuedo-gradient in \d+\.\d{6} seconds`, //nolint:misspell // CotrainCore writes it so
			`all reduce pseudo gradient in: `+f+` seconds`,
			fmt.Sprintf(`Saved checkpoint to %s/step_%d in %s seconds`, regexp.QuoteMeta(dir), 2*outer+2, f), `effective mfu: `+f)
	}
	patterns = append(patterns, `Training finished, exiting \.\.\.`)
	lines := strings.Split(strings.TrimSuffix(w.err.String(), "\n"), "\n")
	if len(lines) != len(patterns) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(patterns), w.err.String())
	}
	for i, p := range patterns {
		if !regexp.MustCompile(`^\d\d:\d\d:\d\d \[INFO\] \[Rank 0\] ` + p + `$`).MatchString(lines[i]) {
			t.Errorf("line %d is %q, want %s", i+1, lines[i], p)
		}
	}
}

func TestMachineLinesStandForTheMetricsShim(t *testing.T) {
	t.Parallel()
	w := newCluster(t, tiny(3, ""), 1).all("--optim.z_loss")[0]
	w.mustEnd(0)
	l := w.losses()
	printed := printedLosses(w)
	if diff := cmp.Diff(printed, l, cmpopts.EquateApprox(0, 5.1e-5)); diff != "" {
		t.Errorf("losses (-printed +machine):\n%s", diff)
	}
	for _, key := range []string{"inner_lr", "perplexity", "total_tokens", "time", "grad_norm", "z_loss", "tokens_per_second", "mfu"} {
		if !strings.Contains(w.out.String(), `"`+key+`":`) {
			t.Errorf("no %s in:\n%s", key, w.out.String())
		}
	}
	dummy := newCluster(t, tiny(3, ""), 1).all("--metric_logger_type", "dummy")[0]
	dummy.mustEnd(0)
	if len(dummy.losses()) != 0 || strings.Contains(dummy.out.String(), "COTRAIN") {
		t.Errorf("with the dummy logger stdout is:\n%s", dummy.out.String())
	}
}

func TestOuterStepsTellHowPseudoGradientsAgree(t *testing.T) {
	t.Parallel()
	const workers, rounds = 3, 2
	var told [workers][]map[string]any
	for rank, w := range newCluster(t, tiny(20, diloco10), workers).all() {
		w.mustEnd(0)
		for line := range strings.Lines(w.out.String()) {
			var v map[string]any
			if text, ok := strings.CutPrefix(line, "COTRAIN "); ok && json.Unmarshal([]byte(text), &v) == nil && v["diloco/outer_lr"] != nil {
				told[rank] = append(told[rank], v)
			}
		}
		if len(told[rank]) != rounds {
			t.Fatalf("worker %d told of %d outer steps, want %d", rank, len(told[rank]), rounds)
		}
	}
	for round := range rounds {
		product, mean := 0.0, 0.0
		for rank := range told {
			get := func(name string) float64 { return told[rank][round]["diloco/"+name].(float64) }
			norm := get("pseudo_gradient_norm")
			mean = get("mean_pseudo_gradient_norm")
			product += get("cosine") * norm * mean / workers
			// The difference of two vectors is as long as the law of cosines says.
			apart := math.Sqrt(norm*norm + mean*mean - 2*get("cosine")*norm*mean)
			if math.Abs(get("drift")*mean-apart) > 1e-4*norm || get("outer_lr") != 0.7 || norm < mean*0.5 {
				t.Errorf("worker %d, outer step %d: %v", rank, round+1, told[rank][round])
			}
		}
		// The mean is the one vector whose products with all of them have its own square as their mean.
		if mean == 0 || math.Abs(product/(mean*mean)-1) > 1e-4 {
			t.Errorf("outer step %d: what workers told is not of their mean: %g of %g", round+1, product, mean*mean)
		}
	}
}

func TestNumbersThatJSONLacksAreStrings(t *testing.T) {
	t.Parallel()
	var out buffer
	(&logger{stdout: &out}).machine("metrics", field{"loss", math.NaN()}, field{"a", math.Inf(1)}, field{"b", math.Inf(-1)}, field{"c", 0.1})
	if want := `COTRAIN {"v":1,"kind":"metrics","loss":"NaN","a":"Infinity","b":"-Infinity","c":0.1}` + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestCheckpointsArePushedAndThinnedOut(t *testing.T) {
	t.Parallel()
	dir, remote := t.TempDir(), t.TempDir()
	c := newCluster(t, tiny(40, fmt.Sprintf("[ckpt]\npath = %q\ninterval = 10\ntopk = 2\nremote = {path = %q, interval = 20}\n", dir, remote)), 1)
	w := c.all()[0]
	w.mustEnd(0)
	if got := slices.Sorted(maps.Keys(stepFolders(dir))); !slices.Equal(got, []int64{30, 40}) {
		t.Errorf("kept steps %v, want 30 and 40", got)
	}
	if got := slices.Sorted(maps.Keys(stepFolders(remote))); !slices.Equal(got, []int64{20, 40}) {
		t.Errorf("pushed steps %v, want 20 and 40", got)
	}
	w.sees("finish pushing " + filepath.Join(dir, "step_40") + " to " + filepath.Join(remote, "step_40") + " in ")
}

func TestAReadOnlyCheckpointFolderEndsTheRunBeforeItTrains(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w := newCluster(t, tiny(4, fmt.Sprintf("[ckpt]\npath = %q\ninterval = 2\n", file)), 1).all()[0]
	w.mustEnd(1)
	w.sees("[ERROR] [Rank 0] Error checking path access " + file + ": ")
	if len(w.losses()) != 0 {
		t.Error("it trained")
	}
}
