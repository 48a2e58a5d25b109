package control_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/watch"
)

// console is all parts between a person and Nomad, working, with a clock that can be moved on.
type console struct {
	*rig
	t    *testing.T
	skip atomic.Int64
	disk disk

	watcher *watch.Watcher
}

// disk is shared storage that sees what is wrong with some folders.
type disk struct {
	shelf

	mu   sync.Mutex
	lack map[string]string
}

func (d *disk) CheckpointProblem(_ context.Context, folder string, _ run.Shape, _ bool) (string, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	what := d.lack[folder]
	return what, d.lack != nil, nil
}

func (d *disk) set(lack map[string]string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lack = lack
}

func (c *console) now() time.Time { return time.Now().Add(time.Duration(c.skip.Load())) }

func newConsole(t *testing.T) *console {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{Twice: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &console{t: t, rig: &rig{cluster: nomadtest.New(), store: s, hub: feed.NewHub(time.Now)}}
	logger := slog.New(slog.DiscardHandler)
	in := ingest.New(ingest.Options{Tailer: c.cluster, Store: s, Publisher: c.hub, Logger: logger, Now: c.now, Health: func(error) {},
		Pulse: func(b *store.Batch) { c.watcher.Pulse(b) }})
	rules, err := diagnose.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	c.queue = queue.New(queue.Options{Cluster: c.cluster, Store: s, Publisher: c.hub, Logger: logger, Now: c.now, Dispatched: func(id run.ID) { c.watcher.ReconcileSoon(id) }, Checkpoints: &c.disk})
	c.watcher = watch.New(watch.Options{Cluster: c.cluster, Store: s, Logs: in, Publisher: c.hub, Logger: logger, Now: c.now, Rules: rules, Health: func(error) {},
		Released: func(run.ID) { c.queue.Wake() }, Checkpoints: &c.disk, Changed: func() { c.queue.Changed() }})
	c.control = control.New(control.Options{Store: s, Queue: c.queue, Cluster: c.cluster, Logs: in, Publisher: c.hub, Logger: logger, Now: c.now, ReconcileSoon: c.watcher.ReconcileSoon, Storage: &c.disk})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, loop := range []func(context.Context) error{in.Run, c.watcher.Run, c.queue.Run} {
		wg.Go(func() {
			if err := loop(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *console) eventually(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("never came true: %s", what)
		}
	}
}

func (c *console) becomes(id run.ID, want run.State) run.Run {
	c.t.Helper()
	var got run.Run
	c.eventually(fmt.Sprintf("%s is %s", id, want), func() bool {
		var err error
		if got, err = c.store.Run(c.t.Context(), id); err != nil {
			c.t.Fatal(err)
		}
		return got.State == want
	})
	return got
}

// child is the job of a run's newest attempt.
func (c *console) child(id run.ID, attempt int) string {
	c.t.Helper()
	job := ""
	c.eventually(fmt.Sprintf("attempt %d of %s is sent", attempt, id), func() bool {
		as, err := c.store.Attempts(c.t.Context(), id)
		if err == nil && len(as) == attempt {
			job = as[attempt-1].JobID
		}
		return job != ""
	})
	return job
}

// trains makes both workers of a job report these steps, each with the loss that of gives.
func (c *console) trains(job string, from, to int64, of func(step int64, rank int) float64) {
	for rank := range 2 {
		var b strings.Builder
		for step := from; step <= to; step++ {
			fmt.Fprintf(&b, `COTRAIN {"v":1,"kind":"metrics","step":%d,"loss":%g,"tokens_per_second":10}`+"\n", step, of(step, rank))
		}
		c.cluster.Print(job, rank, b.String())
	}
}

func (c *console) saves(job string, folder string, step int64, ranks ...int) {
	for _, rank := range ranks {
		c.cluster.Print(job, rank, fmt.Sprintf("12:00:00 [INFO] [Rank 0] Saved checkpoint to %s/worker_%d/step_%d in 0.2 seconds\n", folder, rank, step))
	}
}

func (c *console) curve(id run.ID) []run.CurvePoint {
	c.t.Helper()
	curve, err := c.store.Curve(c.t.Context(), id, "loss", 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return curve
}

func (c *console) set(job string, change func(*run.Worker), ranks ...int) {
	for _, rank := range ranks {
		c.cluster.Set(job, rank, change)
	}
}

// TestARunIsTriedAgainFromItsNewestWholeCheckpoint follows a run over three attempts: its curve is that of one training.
func TestARunIsTriedAgainFromItsNewestWholeCheckpoint(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := submission()
	s.Config, s.Options.Retries = saving, 1
	r, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	first := c.child(r.ID, 1)
	c.set(first, nomadtest.Start, 0, 1)
	c.becomes(r.ID, run.Running)
	attempt := func(n float64) func(int64, int) float64 { // loss says attempt and step
		return func(step int64, rank int) float64 { return n*1000 + float64(step) + float64(rank) }
	}
	c.trains(first, 1, 17, attempt(1))
	c.saves(first, r.CheckpointPath, 5, 0, 1)
	c.saves(first, r.CheckpointPath, 10, 0, 1)
	c.saves(first, r.CheckpointPath, 15, 0) // worker 1 does not get to it
	c.eventually("17 steps are there", func() bool { return len(c.curve(r.ID)) == 17 })
	sub := c.hub.Subscribe(map[string]int64{feed.RunTopic(r.ID): -1})
	defer sub.Close()
	c.set(first, nomadtest.End(1), 0)
	c.becomes(r.ID, run.Stopping)
	c.set(first, nomadtest.End(143), 1)
	waits := c.becomes(r.ID, run.Queued)
	if waits.Progress.Step != 17 || waits.Retried != 1 {
		t.Errorf("it waits as %+v", waits)
	}

	c.skip.Add(int64(run.FirstRetryWait))
	second := c.child(r.ID, 2)
	if d := c.cluster.Dispatched(second); d.Resume != r.CheckpointPath+"/step_10" || d.Attempt != 2 || d.Token != string(r.ID)+"/2" {
		t.Errorf("the second attempt was sent as %+v", d)
	}
	got, err := c.store.Run(t.Context(), r.ID)
	if err != nil || got.Progress.Step != 17 || len(c.curve(r.ID)) != 17 {
		t.Errorf("before it trains, the run is at step %d with %d points, %v", got.Progress.Step, len(c.curve(r.ID)), err)
	}
	if launch, err := c.control.Launch(t.Context(), r.ID); err != nil || launch.Meta["resume"] != r.CheckpointPath+"/step_10" {
		t.Errorf("launch is %+v, %v", launch.Meta, err)
	}
	c.set(second, nomadtest.Start, 0, 1)
	c.becomes(r.ID, run.Running)
	c.trains(second, 11, 14, attempt(2))
	c.eventually("14 steps are there", func() bool { return len(c.curve(r.ID)) == 14 })

	c.set(second, nomadtest.End(run.ExitPorts), 0, 1) // as if: it does not count as a retry
	c.becomes(r.ID, run.Queued)
	c.skip.Add(int64(run.LongestRetryWait))
	third := c.child(r.ID, 3)
	if d := c.cluster.Dispatched(third); d.Resume != r.CheckpointPath+"/step_10" {
		t.Errorf("the third attempt was sent as %+v", d)
	}
	c.set(third, nomadtest.Start, 0, 1)
	c.trains(third, 11, 20, attempt(3))
	c.set(third, nomadtest.End(0), 0, 1)
	done := c.becomes(r.ID, run.Succeeded)
	if done.Progress.Step != 20 || done.Progress.Loss != 3020.5 || done.Retried != 0 || // steps beyond those of the first attempt give the retry back
		done.PortConflicts != 1 {
		t.Errorf("it ended as %+v", done)
	}
	oneTraining(t, c.curve(r.ID))
	if !sawGap(t, sub) {
		t.Error("viewers were not told to read the curve anew")
	}
	history(t, c, r.ID)
}

// oneTraining expects steps 1 to 10 of the first attempt and 11 to 20 of the third.
func oneTraining(t *testing.T, curve []run.CurvePoint) {
	t.Helper()
	if len(curve) != 20 {
		t.Fatalf("the curve has %d points", len(curve))
	}
	for i, p := range curve {
		want := 1000 + float64(i+1) + 0.5
		if i >= 10 {
			want += 2000
		}
		if p.Step != int64(i+1) || p.Mean != want || p.Workers != 2 {
			t.Errorf("point %d is %+v, want %v", i+1, p, want)
		}
	}
}

func sawGap(t *testing.T, sub *feed.Subscription) bool {
	t.Helper()
	ms, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		if m.Type == feed.Gap {
			return true
		}
	}
	return false
}

// history checks that every attempt is in the events, with why it ended and where the next began.
func history(t *testing.T, c *console, id run.ID) {
	t.Helper()
	evs, err := c.store.Events(t.Context(), id, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ev := range evs {
		if ev.Kind == "state" && (ev.To == run.Queued || ev.To == run.Dispatching) {
			got = append(got, fmt.Sprintf("%d %s", ev.Attempt, ev.Message))
		}
	}
	folder := "models/checkpoints/" + string(id) + "/step_10"
	const unseen = "; its files could not be checked, because the console does not see them"
	want := []string{
		"0 submitted: 2 nodes without GPUs", "1 ",
		"1 attempt 1 failed: worker 0 (node-1) exited with code 1; attempt 2 follows in 10s: retry 1 of 1", "2 continues from " + folder + unseen,
		"2 attempt 2 failed: worker 0 (node-1) exited with code 76; attempt 3 follows in 10s: its ports were taken before training started, which does not count as a retry", "3 continues from " + folder + unseen,
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("history is\n%q, want\n%q", got, want)
	}
}

// The line "Saved checkpoint" of all workers does not make a checkpoint whole: what is on the disk decides.
func TestARunGoesOnFromACheckpointThatIsWholeOnTheDisk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		broken  []int64
		resume  string // below the run's folder
		message string // with %s for that folder
	}{
		{"both whole", nil, "/step_10", "continues from %[1]s/step_10"},
		{"the newest broken", []int64{10}, "/step_5", "continues from %[1]s/step_5; %[1]s/step_10 is an incomplete checkpoint: data/_0.pt is missing"},
		{"both broken", []int64{5, 10}, "", "%[1]s/step_10 is an incomplete checkpoint: data/_0.pt is missing; %[1]s/step_5 is an incomplete checkpoint: data/_0.pt is missing; " +
			"no complete checkpoint is left, so it starts as its configuration says"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newConsole(t)
			s := submission()
			s.Config, s.Options.Retries = saving, 1
			r, err := c.control.Submit(t.Context(), "me", s)
			if err != nil {
				t.Fatal(err)
			}
			lack := map[string]string{}
			for _, step := range tt.broken {
				lack[fmt.Sprintf("%s/step_%d", r.CheckpointPath, step)] = "is an incomplete checkpoint: data/_0.pt is missing"
			}
			c.disk.set(lack)
			first := c.child(r.ID, 1)
			c.set(first, nomadtest.Start, 0, 1)
			c.becomes(r.ID, run.Running)
			c.saves(first, r.CheckpointPath, 5, 0, 1)
			c.saves(first, r.CheckpointPath, 10, 0, 1)
			c.eventually("both are reported", func() bool {
				saved, err := c.store.SavedCheckpoints(t.Context(), r.ID)
				return err == nil && len(saved) == 4
			})
			c.set(first, nomadtest.End(1), 0, 1)
			c.becomes(r.ID, run.Queued)
			c.skip.Add(int64(run.FirstRetryWait))
			want := tt.resume
			if want != "" {
				want = r.CheckpointPath + want
			}
			if d := c.cluster.Dispatched(c.child(r.ID, 2)); d.Resume != want {
				t.Errorf("sent %+v", d)
			}
			evs, err := c.store.Events(t.Context(), r.ID, 0, 1000)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, ev := range evs {
				found = found || ev.Attempt == 2 && ev.Message == fmt.Sprintf(tt.message, r.CheckpointPath)
			}
			if !found {
				t.Errorf("no event says %q: %+v", tt.message, evs)
			}
		})
	}
}

func TestARunWithoutACheckpointBeginsAgain(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := submission()
	s.Options.Retries = 1
	r, err := c.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	first := c.child(r.ID, 1)
	c.set(first, nomadtest.Start, 0, 1)
	c.trains(first, 1, 5, func(int64, int) float64 { return 9 })
	c.eventually("5 steps are there", func() bool { return len(c.curve(r.ID)) == 5 })
	c.set(first, nomadtest.End(1), 0, 1)
	c.becomes(r.ID, run.Queued)
	c.skip.Add(int64(run.FirstRetryWait))
	if d := c.cluster.Dispatched(c.child(r.ID, 2)); d.Resume != "" {
		t.Errorf("sent %+v", d)
	}
	if err := c.control.Stop(t.Context(), "me", r.ID); err != nil {
		t.Fatal(err)
	}
	second := c.child(r.ID, 2)
	c.set(second, nomadtest.End(143), 0, 1)
	if got := c.becomes(r.ID, run.Stopped); got.Retried != 1 || got.Progress.Step != 5 || len(c.curve(r.ID)) != 5 {
		t.Errorf("stopped before its second attempt trained, it is %+v", got)
	}
}

// TestASweepRunsToItsEnd has one place for three runs, of which the first fails once.
func TestASweepRunsToItsEnd(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	s := grid()
	s.Options.Retries, s.Parallel = 1, 1
	s.Grid = []run.Axis{{Field: "optim.optim.lr", Values: []string{"1e-4", "2e-4", "3e-4"}}}
	sw, err := c.control.SubmitSweep(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	runs := c.runsOf(t, sw.ID)
	active := func() (n int) {
		got, err := c.control.Sweep(t.Context(), sw.ID)
		if err != nil {
			t.Fatal(err)
		}
		for state, count := range got.Counts {
			if state.Live() {
				n += count
			}
		}
		return n
	}
	job := c.child(runs[0].ID, 1)
	c.eventually("the others wait for it", func() bool {
		one, err := c.store.Run(t.Context(), runs[2].ID)
		return err == nil && one.Reason == "waits for its sweep: 1 of 1 runs are active"
	})
	c.set(job, nomadtest.End(1), 0, 1)
	job = c.child(runs[1].ID, 1) // while the first waits for its second attempt
	if n := active(); n != 1 {
		t.Errorf("%d runs are active", n)
	}
	c.skip.Add(int64(run.FirstRetryWait))
	c.set(job, nomadtest.End(0), 0, 1)
	c.becomes(runs[1].ID, run.Succeeded)
	job = c.child(runs[0].ID, 2) // it is the oldest
	if n := active(); n != 1 {
		t.Errorf("%d runs are active", n)
	}
	c.set(job, nomadtest.End(0), 0, 1)
	c.becomes(runs[0].ID, run.Succeeded)
	c.set(c.child(runs[2].ID, 1), nomadtest.End(0), 0, 1)
	c.becomes(runs[2].ID, run.Succeeded)
	got, err := c.control.Sweep(t.Context(), sw.ID)
	if err != nil || got.Counts[run.Succeeded] != 3 || got.Stopped {
		t.Errorf("the sweep ended as %+v, %v", got, err)
	}
}
