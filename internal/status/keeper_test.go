package status

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// world is a store, shared storage and a feed.
type world struct {
	*feed.Hub
	mu      sync.Mutex
	runs    map[run.ID]run.Run
	metrics []points.Summary
	written []string // names, in order
	files   map[string]Status
	failing error
}

func (w *world) Run(_ context.Context, id run.ID) (run.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.runs[id]
	if !ok {
		return r, run.NoRun(string(id))
	}
	return r, nil
}

func (w *world) Runs(_ context.Context, f run.RunFilter) (out []run.Run, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.runs {
		if len(f.States) == 0 || !r.State.Terminal() {
			out = append(out, r)
		}
	}
	return out, nil
}

func (w *world) RunMetrics(context.Context, run.ID) ([]points.Summary, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.metrics, nil
}

func (w *world) Replace(_ context.Context, folder, name string, content []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failing != nil {
		return w.failing
	}
	var s Status
	if err := json.Unmarshal(content, &s); err != nil {
		return err
	}
	w.written = append(w.written, folder+"/"+name)
	w.files[folder+"/"+name] = s
	return nil
}

// set stores a run and publishes it.
func (w *world) set(r run.Run) {
	w.mu.Lock()
	w.runs[r.ID] = r
	w.mu.Unlock()
	w.PublishRun(r)
}

// last is the newest content of the run's file.
func (w *world) last() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.files[file]
}

func (w *world) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.written)
}

const (
	id   = run.ID("r-0000000001")
	file = "/logs/training/r-0000000001/status.json"
)

func training(step int64) run.Run {
	preset, _ := trainconf.PresetByName("debug-diloco")
	config := string(preset.Config.TOML())
	return run.Run{ID: id, Name: "first", Project: "default", Config: config, State: run.Running, Attempt: 1, StepsTotal: 300, Revision: step, Progress: run.Progress{Step: step, Loss: 2.5, HasLoss: true, Participants: 2, TokensPerSec: 1000}}
}

// keep has a keeper at work while a test looks.
func keep(t *testing.T, files bool, test func(t *testing.T, w *world, log *strings.Builder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Hub: feed.NewHub(time.Now), runs: map[run.ID]run.Run{}, files: map[string]Status{}}
		var log strings.Builder
		o := Options{Store: w, Feed: w.Hub, Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: time.Now}
		if files {
			o.Files = w
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- New(o).Run(ctx) }()
		synctest.Wait()
		test(t, w, &log)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAStatusIsToldOnceASecondAndAtTheEndOnceMore(t *testing.T) {
	t.Parallel()
	keep(t, true, func(t *testing.T, w *world, _ *strings.Builder) {
		sub := w.Subscribe(map[string]int64{feed.TrainingOf(id): -1, feed.TrainingTopic: -1})
		defer sub.Close()
		for step := range int64(100) { // in ten seconds
			w.set(training(step))
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		if n := w.count(); n < 9 || n > 12 {
			t.Errorf("%d files in ten seconds", n)
		}
		if s := w.last(); s.Step != 99 || s.Progress != 33 || *s.Loss != 2.5 || s.Participants != 2 || *s.Metrics["batchSize"] != 16 || *s.Metrics["tokensPerSecond"] != 1000 {
			t.Errorf("the last file is %+v", s)
		}
		ms := sub.Take()
		if len(ms) != 2*w.count() {
			t.Errorf("%d messages for %d files", len(ms), w.count())
		}
		for _, m := range ms {
			if m.Type != feed.TrainingProgress || m.Project != "default" || m.Run != id {
				t.Fatalf("%+v", m)
			}
		}
		ended := training(300)
		ended.State = run.Succeeded
		w.mu.Lock()
		w.metrics = []points.Summary{{Metric: "learning_rate", Value: 0.5}, {Metric: "accuracy", Value: math.NaN()}}
		w.mu.Unlock()
		before := w.count()
		w.set(ended)
		time.Sleep(time.Minute)
		if n := w.count() - before; n != 2 {
			t.Errorf("%d files after the end, want one at once and one with all metrics", n)
		}
		if s := w.last(); s.State != run.Succeeded || *s.Metrics["learningRate"] != 0.5 || s.Metrics["accuracy"] != nil {
			t.Errorf("at the end: %+v", s)
		}
	})
}

func TestNothingIsReadForAStatusThatNobodyWants(t *testing.T) {
	t.Parallel()
	keep(t, false, func(t *testing.T, w *world, _ *strings.Builder) {
		w.set(training(1))
		time.Sleep(3 * time.Second)
		if w.Keeps(feed.TrainingTopic) || w.Keeps(feed.TrainingOf(id)) {
			t.Error("a topic was made for nobody")
		}
		sub := w.Subscribe(map[string]int64{feed.TrainingOf(id): -1})
		w.set(training(2))
		time.Sleep(3 * time.Second)
		if ms := sub.Take(); len(ms) != 1 {
			t.Errorf("%d messages", len(ms))
		}
		from := sub.Positions()
		sub.Close()
		w.set(training(3)) // while the viewer is away
		time.Sleep(3 * time.Second)
		again := w.Subscribe(from)
		defer again.Close()
		if ms := again.Take(); len(ms) != 1 || ms[0].Type != feed.TrainingProgress {
			t.Errorf("a viewer that came back got %v", ms)
		}
	})
}

func TestRunsThatChangedUnseenAreTold(t *testing.T) {
	t.Parallel()
	keep(t, true, func(t *testing.T, w *world, _ *strings.Builder) {
		w.mu.Lock()
		w.runs[id] = training(7)
		w.mu.Unlock()
		w.PublishMany("") // which tells of no run by name
		time.Sleep(2 * time.Second)
		if s := w.last(); s.Step != 7 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestAFileThatCannotBeWrittenStopsNothingAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	keep(t, true, func(t *testing.T, w *world, log *strings.Builder) {
		sub := w.Subscribe(map[string]int64{feed.TrainingTopic: -1})
		defer sub.Close()
		w.mu.Lock()
		w.failing = errors.New("no space left")
		w.mu.Unlock()
		for step := range int64(5) {
			w.set(training(step))
			time.Sleep(2 * time.Second)
		}
		if ms := sub.Take(); len(ms) != 5 {
			t.Errorf("%d messages", len(ms))
		}
		if n := strings.Count(log.String(), "no space left"); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

func TestNamesAreInCamelCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"learning_rate": "learningRate", "loss": "loss", "_x": "_x", "gpu0/util_a": "gpu0/utilA", "a__b": "aB", "": "", "a b<script>": "aBScript", "eval/top-1": "eval/top1", "<b": "b"} {
		if got := camel(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}
