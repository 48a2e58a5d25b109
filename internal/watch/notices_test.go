package watch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// watchedRig is a rig whose three workers run, with a sync every 50 steps and a checkpoint every 50.
func watchedRig(t *testing.T, o run.Options) *rig { return watchedRigOf(t, o, 100_000) }

// watchedRigOf is one of so many steps.
func watchedRigOf(t *testing.T, o run.Options, steps int64) *rig {
	t.Helper()
	r := newRigOf(t, run.Run{
		ID: "r-0000000001", State: run.Queued, Shape: run.Shape{Nodes: 3}, InnerSteps: 50, StepsTotal: steps, Options: o, CheckpointPath: "ck",
		Config: "[ckpt]\npath = \"ck\"\ninterval = 50\n[diloco]\ninner_steps = 50\n[train]\nmicro_bs = 1\n",
	})
	for rank := range 3 {
		r.cluster.Set(r.child, rank, nomadtest.Start)
	}
	r.becomes(run.Running)
	return r
}

// trains prints the steps of a worker, each of which took some seconds by its own clock, with the loss of each.
func (r *rig) trains(rank int, from, to int, seconds float64, loss func(step int) string) {
	var out strings.Builder
	for step := from; step <= to; step++ {
		fmt.Fprintf(&out, `COTRAIN {"v":1,"kind":"metrics","step":%d,"loss":%s,"time":%f,"num_peers":3}`+"\n", step, loss(step), float64(1_800_000_000)+float64(step)*seconds)
		r.cluster.Print(r.child, rank, out.String()) // a batch each, or some together
		out.Reset()
	}
}

func usual(step int) string { return fmt.Sprintf("%f", 3+float64(step%7)/100) }

// noticed waits for a notice.
func (r *rig) noticed(kind run.NoticeKind) run.Notice {
	r.t.Helper()
	var n run.Notice
	r.looks("there is a notice: "+string(kind), func(got run.Run) bool {
		if found := got.Notice(kind); found != nil {
			n = *found
			return true
		}
		return false
	})
	return n
}

// looks has the watcher look again and again until it is true of the run.
func (r *rig) looks(what string, ok func(run.Run) bool) {
	r.t.Helper()
	n := 0
	r.eventually(what, func() bool {
		n++
		r.cluster.Set(r.child, 0, func(w *run.Worker) { w.Detail = fmt.Sprintf("look %d", n) })
		time.Sleep(20 * time.Millisecond)
		got, err := r.store.Run(r.t.Context(), r.id)
		return err == nil && ok(got)
	})
}

// reaches waits until a step is stored.
func (r *rig) reaches(step int64) {
	r.t.Helper()
	r.looks(fmt.Sprintf("step %d is known", step), func(got run.Run) bool { return got.Progress.Step >= step })
}

func (r *rig) events(kind string) []run.Event {
	r.t.Helper()
	evs, err := r.store.Events(r.t.Context(), r.id, 0, 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []run.Event
	for _, ev := range evs {
		if ev.Kind == kind {
			out = append(out, ev)
		}
	}
	return out
}

func TestAHangNamesWhoStoppedAndWhoWaitsAndIsOverOnceItGoesOn(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	for rank, to := range []int{50, 40, 50} {
		r.trains(rank, 1, to, 1, usual)
	}
	r.cluster.Print(r.child, 1, "12:00:00 [INFO] [Rank 0] reading shard 7\n")
	r.reaches(40)
	r.looks("nothing is wrong", func(got run.Run) bool { return len(got.Notices) == 0 })
	r.skip.Add(int64(time.Minute))
	n := r.noticed(run.NoticeHang)
	if n.Rank != 1 || n.Step != 40 || !strings.Contains(n.Text, "worker 1 (node-1) hangs: no step after step 40") || !strings.Contains(n.Text, "workers 0 and 2 wait for it at step 50") {
		t.Errorf("the notice is %+v", n)
	}
	if len(n.Evidence) != 3 || n.Evidence[0].Rank != 1 || !strings.HasSuffix(n.Evidence[0].Text, "reading shard 7") || n.Evidence[0].Pos == 0 {
		t.Errorf("the evidence is %+v", n.Evidence)
	}
	if evs := r.events("hang"); len(evs) != 1 || evs[0].Level != "error" || evs[0].Rank != 1 {
		t.Errorf("the events are %+v", evs)
	}
	if got := r.becomes(run.Running); got.StopCause != "" {
		t.Errorf("an alert stops it: %+v", got)
	}
	r.skip.Store(0)
	r.trains(1, 41, 42, 1, usual)
	r.looks("it is over", func(got run.Run) bool { return got.Notice(run.NoticeHang) == nil })
	if evs := r.events("hang_over"); len(evs) != 1 || !strings.HasPrefix(evs[0].Message, "worker 1 (node-1) goes on after ") {
		t.Errorf("the events are %+v", evs)
	}
}

func TestAHangEndsTheAttemptAsOneThatFailedWhereTheOptionsSaySo(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{OnHang: run.PolicyRestart, Retries: 1})
	for rank, to := range []int{50, 40, 50} {
		r.trains(rank, 1, to, 1, usual)
	}
	r.reaches(40)
	r.skip.Add(int64(30 * time.Second))
	if n := r.noticed(run.NoticeHang); n.Next != "Stacks were asked for with SIGUSR2. It is restarted unless it goes on." || n.At.IsZero() {
		t.Errorf("the notice is %+v", n)
	}
	r.skip.Add(int64(5 * time.Minute))
	r.looks("it is stopped", func(got run.Run) bool { return got.State == run.Stopping && got.StopCause == run.StopHang })
	for rank := range 3 {
		r.cluster.Set(r.child, rank, func(w *run.Worker) { w.State, w.Stopping, w.Exited, w.ExitCode = run.WorkerComplete, true, true, 143 })
	}
	got := r.becomes(run.Queued)
	if got.Retried != 1 || len(got.Notices) != 0 || !strings.Contains(got.Reason, "attempt 2 follows") {
		t.Errorf("the run is %+v", got)
	}
	attempts, err := r.store.Attempts(t.Context(), r.id)
	if c := attempts[0].Cause; err != nil || c == nil || c.Category != "hang" || c.Rank != 1 || len(c.Evidence) == 0 || !c.Retryable || c.Seen.Failures != 1 ||
		!slices.ContainsFunc(c.Evidence, func(l run.CauseLine) bool { return l.Rank != nil && *l.Rank == 0 }) {
		t.Errorf("the cause is %+v, %v", c, err)
	}
}

func TestTheStacksOfThoseThatHangAreAskedForOnceWhereTheOptionsSaySo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		policy  string
		signals []string
		next    string
	}{
		{run.PolicyAlert, nil, ""},
		{run.PolicyDump, []string{"1 SIGUSR2", "0 SIGUSR2", "2 SIGUSR2"}, "Stacks were asked for with SIGUSR2."},
		{run.PolicyRestart, []string{"1 SIGUSR2", "0 SIGUSR2", "2 SIGUSR2"}, "Stacks were asked for with SIGUSR2. It is restarted unless it goes on."},
	} {
		t.Run(tc.policy, func(t *testing.T) {
			t.Parallel()
			r := watchedRig(t, run.Options{OnHang: tc.policy, Retries: 1})
			for rank, to := range []int{50, 40, 50} {
				r.trains(rank, 1, to, 1, usual)
			}
			r.cluster.PrintErr(r.child, 1, "Thread 0x7 (most recent call first):\n  of an earlier time\n")
			r.reaches(40)
			r.cluster.Fail("Signal", errors.New("the node is away"))
			r.skip.Add(int64(30 * time.Second))
			if n := r.noticed(run.NoticeHang); tc.signals != nil && (!n.Asked.IsZero() || !strings.HasPrefix(n.Next, "The stacks could not be asked for, trying again.")) {
				t.Errorf("what could not be asked for is %+v", n)
			}
			r.cluster.Fail("Signal", nil)
			n := run.Notice{}
			r.looks("it has what to do next", func(got run.Run) bool {
				if found := got.Notice(run.NoticeHang); found != nil {
					n = *found
				}
				return n.Next == tc.next && n.Asked.IsZero() == (tc.signals == nil)
			})
			if tc.signals != nil {
				r.cluster.PrintErr(r.child, 1, "\nThread 0x7f11 (most recent call first):\n  File \"/core/all_reduce.py\", line 88 in recv\n")
				r.looks("the stacks are there", func(got run.Run) bool {
					n = *got.Notice(run.NoticeHang)
					return len(n.Stacks) == 2
				})
				if l := n.Stacks[1]; l.Rank != 1 || l.Pos == 0 || l.Text != `File "/core/all_reduce.py", line 88 in recv` {
					t.Errorf("the stacks are %+v", n.Stacks)
				}
				if evs := r.events(run.EventStacks); len(evs) != 1 || evs[0].Message != "the stacks of worker 1 are in the log: Thread 0x7f11 (most recent call first):" {
					t.Errorf("the events are %+v", evs)
				}
			}
			if got := r.cluster.Signals(); !slices.Equal(got, tc.signals) {
				t.Errorf("it was sent %q", got)
			}
		})
	}
}

func TestANewConsoleLearnsTheRhythmFromWhatIsStored(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	for step := 1; step <= 40; step++ { // each a batch of its own time
		for rank := range 3 {
			r.trains(rank, step, step, 0.005, usual)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.reaches(40)
	r.stop()
	r.start()
	r.looks("it is looked at", func(got run.Run) bool { return got.State == run.Running })
	r.skip.Add(int64(2 * time.Minute)) // far less than a first step may take
	if n := r.noticed(run.NoticeHang); n.Step != 40 {
		t.Errorf("the notice is %+v", n)
	}
}

func TestLossesAreActedOnAsTheOptionsSay(t *testing.T) {
	t.Parallel()
	broken := func(step int) string {
		if step >= 60 {
			return `"NaN"`
		}
		return usual(step)
	}
	for _, tc := range []struct {
		name   string
		o      run.Options
		loss   func(int) string
		kind   run.NoticeKind
		reason string
		lr     float64

		category, plan string // of the cause
		step           int    // that its second line is of
	}{
		{"an alert for NaN", run.Options{}, broken, run.NoticeNotFinite, "", 0, "", "", 0},
		{"a stop for NaN", run.Options{OnNaN: run.PolicyStop}, broken, run.NoticeNotFinite, "because the loss of worker 0 (node-1) is not finite since step 60", 0, "nan_loss", "its policy is on_nan = stop", 60},
		{"going back for NaN", run.Options{OnNaN: run.PolicyRollback, RollbackLR: 0.5}, broken, run.NoticeNotFinite,
			"the loss of worker 0 (node-1) is not finite since step 60; continues from the beginning (1 of 3): no checkpoint is older than step 60, with the learning rate multiplied by 0.5", 0.5, "nan_loss", "continues from the beginning (1 of 3)", 60},
		{"a stop for divergence", run.Options{OnDivergence: run.PolicyStop}, func(step int) string {
			if step >= 100 {
				return fmt.Sprint(step)
			}
			return usual(step)
		}, run.NoticeDiverged, "because the loss of worker 0 (node-1) rose from about 3.03 at step 100 and stays above what is usual", 0, "loss_spike", "its policy is on_divergence = stop", 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := watchedRig(t, tc.o)
			for rank, loss := range []func(int) string{tc.loss, usual, usual} {
				r.trains(rank, 1, 120, 1, loss)
			}
			if tc.reason == "" {
				if n := r.noticed(tc.kind); n.Rank != 0 || n.Step != 60 {
					t.Errorf("the notice is %+v", n)
				}
				return
			}
			r.looks("it is stopped", func(got run.Run) bool { return got.State == run.Stopping })
			got := r.becomes(run.Stopping)
			if got.StopReason != tc.reason {
				t.Errorf("the reason is %q", got.StopReason)
			}
			for rank := range 3 {
				r.cluster.Set(r.child, rank, func(w *run.Worker) { w.State, w.Stopping, w.Exited, w.ExitCode = run.WorkerComplete, true, true, 143 })
			}
			got = r.becomes(map[bool]run.State{true: run.Stopped, false: run.Queued}[tc.lr == 0])
			attempts, err := r.store.Attempts(t.Context(), r.id)
			if err != nil {
				t.Fatal(err)
			}
			c := attempts[0].Cause
			if c == nil || c.Category != tc.category || c.Title == "" || c.Rank != 0 || c.Node != "node-1" || !slices.Equal(c.Victims, []int{1, 2}) || c.Retryable || c.Hint == "" ||
				!strings.HasPrefix(c.Summary, "The loss of worker 0 (node-1) ") || c.Seen.Failures != map[bool]int{true: 1}[tc.lr == 0] || (c.Fingerprint == "") != (tc.lr != 0) || c.Retry == nil || !strings.Contains(c.Retry.Why, tc.plan) {
				t.Fatalf("the cause is %+v", c)
			}
			lines, err := r.store.Logs(t.Context(), r.id, run.LogQuery{Rank: 0, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Evidence) != 5 || !strings.Contains(c.Evidence[1].Text, fmt.Sprintf(`"step":%d,`, tc.step)) {
				t.Errorf("the evidence is %+v", c.Evidence)
			}
			for _, e := range c.Evidence {
				if !slices.ContainsFunc(lines, func(l run.LogLine) bool { return l.Pos == e.Pos && l.Text == e.Text }) {
					t.Errorf("%+v is no line of worker 0", e)
				}
			}
			if tc.lr == 0 {
				if got.Cause == nil || got.Follows() != "Not tried again: "+tc.plan+"." {
					t.Errorf("the run has the cause %+v; %s", got.Cause, got.Follows())
				}
				return
			}
			saved := []run.SavedCheckpoint{}
			for rank := range 3 {
				for _, step := range []int64{50, 100} {
					saved = append(saved, run.SavedCheckpoint{Attempt: 1, Rank: rank, Step: step, Path: fmt.Sprintf("ck/step_%d", step)})
				}
			}
			if p := got.ResumeFrom(saved); got.Rollback == nil || got.Rollback.LR != tc.lr || got.Retried != 0 || len(p) != 1 || p[0].Step != 50 {
				t.Errorf("it goes back to %+v, with %+v", p, got.Rollback)
			}
		})
	}
}

func TestSlowWorkersClocksMeshesAndThoseAloneAreNamed(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	clock := func() string { return time.Now().UTC().Format("15:04:05") }
	step := 1
	further := func() {
		for rank, seconds := range []float64{1, 1, 3} {
			r.trains(rank, step, step, seconds, usual)
		}
		step++
	}
	for step <= 80 {
		further()
	}
	r.looks("a worker is slow twice", func(got run.Run) bool {
		further()
		return got.Notice(run.NoticeSlow) != nil
	})
	if n := r.noticed(run.NoticeSlow); n.Rank != 2 || !strings.HasPrefix(n.Text, "worker 2 (node-1) is slow: 3 s a step, the others 1 s") {
		t.Errorf("the notice is %+v", n)
	}
	r.cluster.Print(r.child, 1, clock()+" [ERROR] [Rank 0] Failed to sync pseudo gradient after 3 retries\n"+clock()+" [INFO] [Rank 0] effective mfu: 30.0\n")
	if n := r.noticed(run.NoticeAlone); n.Rank != 1 || n.Step < 80 {
		t.Errorf("the notice is %+v", n)
	}
	r.cluster.Print(r.child, 1, clock()+" [INFO] [Rank 0] Sync psuedo-gradient in 1.5 seconds\n")
	r.looks("it trains with the others again", func(got run.Run) bool { return got.Notice(run.NoticeAlone) == nil })
	r.cluster.Print(r.child, 0, clock()+" [INFO] [Rank 0] Elastic Device mesh init done with 2 peers in 0.05 seconds\n")
	if n := r.noticed(run.NoticeMesh); !strings.HasPrefix(n.Text, "the mesh has 2 of 3 workers") || !strings.HasPrefix(n.Hint, "The others are still to join") {
		t.Errorf("the notice is %+v", n)
	}
	r.looks("a clock is apart", func(got run.Run) bool { // lines that are read at once count once
		now := time.Now().UTC()
		for rank, off := range []time.Duration{0, 0, -12 * time.Second} {
			r.cluster.Print(r.child, rank, now.Add(off).Format("15:04:05")+" [INFO] [Rank 0] outer_step step: 2\n")
		}
		return got.Notice(run.NoticeClock) != nil
	})
	if n := r.noticed(run.NoticeClock); n.Rank != 2 || !strings.Contains(n.Text, "behind worker 0's: the mesh takes it for dead") {
		t.Errorf("the notice is %+v", n)
	}
}

func TestARunThatFinishedSaysWhatStandsAgainstIt(t *testing.T) {
	t.Parallel()
	r := watchedRigOf(t, run.Options{}, 120)
	for rank, loss := range []func(int) string{usual, usual, rises(90)} {
		r.trains(rank, 1, 120, 1, loss)
	}
	r.cluster.Print(r.child, 1, "12:00:00 [ERROR] [Rank 0] Failed to sync pseudo gradient after 3 retries\n")
	r.noticed(run.NoticeAlone)
	r.noticed(run.NoticeDiverged)
	for _, rank := range []int{1, 2, 0} { // worker 0 is the last
		r.cluster.Print(r.child, rank, "12:00:01 [INFO] [Rank 0] Training finished, exiting ...\n")
		r.cluster.Set(r.child, rank, nomadtest.End(0))
		r.looks("it is looked at", func(got run.Run) bool {
			return got.State.Terminal() || got.Notice(run.NoticeAlone) != nil && got.Notice(run.NoticeDiverged) != nil
		})
	}
	got := r.becomes(run.Succeeded)
	const want = "finished, but the loss of worker 2 (node-1) rose far above what was usual at step 90, and stayed there; worker 1 (node-1) trained alone from step 120 on"
	if got.Reason != want || len(got.Notices) != 0 {
		t.Errorf("it ended because %q, with %+v", got.Reason, got.Notices)
	}
}

func TestASmallerMeshNamesTheWorkersThatHaveEnded(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	r.cluster.Set(r.child, 1, nomadtest.End(7))
	r.cluster.Print(r.child, 0, "12:00:00 [INFO] [Rank 0] Elastic Device mesh init done with 2 peers in 0.05 seconds\n")
	r.looks("the worker that ended is named", func(got run.Run) bool {
		n := got.Notice(run.NoticeMesh)
		return n != nil && n.Hint == "Worker 1 has ended. The mesh goes on without."
	})
}

func TestStacksOfAllThatStoppedAtOneStepNameTheOneThatDoesNotWait(t *testing.T) {
	t.Parallel()
	const waits, away = "  File \"/torch/distributed.py\", line 88 in all_reduce\n", "  File \"/train/data.py\", line 7 in read\n"
	for _, tc := range []struct {
		name   string
		prints []string // by rank
		first  int
		says   string
	}{
		{"one does not wait", []string{waits, waits, away}, 2, "the others wait in a collective, worker 2 does not: look at it first"},
		{"all wait", []string{waits, waits, waits}, 0, "the stacks do not tell who hangs"},
		{"one has not answered", []string{waits, "", away}, 2, "stacks of 2 of 3 workers so far, which do not tell who hangs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := watchedRig(t, run.Options{OnHang: run.PolicyDump})
			for rank := range 3 {
				r.trains(rank, 1, 49, 1, usual)
			}
			r.reaches(49)
			r.skip.Add(int64(11 * time.Minute)) // a sync that has never been seen may take ten
			n := run.Notice{}
			r.looks("the stacks are asked for", func(got run.Run) bool {
				if found := got.Notice(run.NoticeHang); found != nil {
					n = *found
				}
				return !n.Asked.IsZero()
			})
			if n.Rank != -1 || !strings.Contains(n.Text, "all workers stopped at step 49") || strings.Contains(n.Text, "in the sync") {
				t.Errorf("the notice is %+v", n)
			}
			answers := 0
			for rank, frame := range tc.prints {
				if frame != "" {
					answers++
					r.cluster.PrintErr(r.child, rank, "Thread 0x7f11 (most recent call first):\n"+frame+strings.Repeat("  File \"/train.py\", line 3 in loop\n", 20))
				}
			}
			r.looks("the stacks are there", func(got run.Run) bool {
				n = *got.Notice(run.NoticeHang)
				return len(n.Stacks) == 8*answers && n.StacksTell == tc.says
			})
			if n.Stacks[0].Rank != tc.first {
				t.Errorf("the stacks are %+v", n.Stacks)
			}
		})
	}
}
