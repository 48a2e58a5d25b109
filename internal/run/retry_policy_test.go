package run

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// testRules are a few rules of each kind.
var testRules = RetryRules{
	{Category: "crash", Retries: 1},
	{Category: "network", Retries: 5, Wait: 30 * time.Second, LongestWait: 2 * time.Minute},
	{Category: "oom"},
	{Category: "file", EntityEnds: true},
	{Category: "config", Never: true},
	{Category: "ecc", Retries: 3, OtherNode: true},
	{Category: "driver", OtherNode: true},
	{Category: "checkpoint", Retries: 2, OlderCheckpoint: true, EntityEnds: true},
	{Category: UnknownCause, Retries: 1},
}

// oneFailure is an attempt of one worker that failed of a cause at a step; step 0 is before the first, -1 is that no log tells.
func oneFailure(category string, step int64, mod ...func(*Failure)) Failure {
	w := Worker{Rank: 0, NodeID: "n1", NodeName: "node-1", State: WorkerFailed, Started: true, Exited: true, ExitCode: 1, EndedAt: time.Unix(100, 0)}
	w.Report = ExitReport{Read: step >= 0, Step: max(0, step)}
	c := &Cause{Category: category, Summary: "It is " + category + ".", Retryable: !slices.Contains([]string{"oom", "config", "file", "checkpoint", "driver"}, category), Fingerprint: category}
	f := Failure{Observation: Observation{Found: true, Workers: []Worker{w}}, Cause: c, Why: "why"}
	for _, m := range mod {
		m(&f)
	}
	return f
}

func exitCode(code int) func(*Failure) { return func(f *Failure) { f.Workers[0].ExitCode = code } }

func onNode(id string) func(*Failure) {
	return func(f *Failure) { f.Workers[0].NodeID, f.Workers[0].NodeName = id, "node-"+id }
}

func ofFile(name string) func(*Failure) {
	return func(f *Failure) { f.Cause.Entity, f.Cause.Fingerprint = name, f.Cause.Category+"/"+name }
}

func resumed(folder string) func(*Failure) { return func(f *Failure) { f.Resume = folder } }

func savedAt(attempt int, step int64) func(*Failure) {
	return func(f *Failure) {
		f.Saved = append(f.Saved, SavedCheckpoint{Attempt: attempt, Step: step, Path: fmt.Sprintf("c/step_%d", step)})
	}
}

func noWorkers(f *Failure) { f.Workers, f.Cause = nil, nil }

func lost(f *Failure) {
	f.Workers[0].State, f.Workers[0].Exited, f.Workers[0].Report = WorkerLost, false, ExitReport{}
}

func TestRetriesAreCountedByCauseWithoutProgress(t *testing.T) {
	t.Parallel()
	retries := func(n int, policy ...string) Options {
		o := Options{Retries: n, Retry: RetryPolicy{}}
		for _, p := range policy {
			category, n, _ := strings.Cut(p, "=")
			o.Retry[category], _ = strconv.Atoi(n)
		}
		return o
	}
	for _, tc := range []struct {
		name     string
		options  Options
		failures []Failure // all but the last are followed by another attempt
		again    bool      // after the last
		reason   string    // part of the last
	}{
		{"a crash is tried again once", retries(3), []Failure{oneFailure("crash", 10)}, true, "attempt 1 failed: It is crash; worker 0 (node-1) exited with code 1; attempt 2 follows: retry 1 of 1, the limit for crash (the run allows 3)"},
		{"without retries it is not", retries(0), []Failure{oneFailure("crash", 10)}, false, "It is crash; worker 0 (node-1) exited with code 1"},
		{"the same crash without progress ends it", retries(3), []Failure{oneFailure("crash", 10), oneFailure("crash", 10)}, false, "no progress since step 10, and it failed of the same cause as attempt 1; 1 of 1 retry used, the limit for crash (the run allows 3)"},
		{"also before the first step", retries(3), []Failure{oneFailure("crash", 0), oneFailure("crash", 0)}, false, "no progress since the first attempt, before the first step"},
		{"also where it fell back", retries(3), []Failure{oneFailure("crash", 10), oneFailure("crash", 7)}, false, "no progress since step 10"},
		{"progress gives the retry back", retries(3), []Failure{oneFailure("crash", 10), oneFailure("crash", 20)}, true, "retry 1 of 1, the limit for crash (the run allows 3); counted anew, because it got from step 10 to step 20"},
		{"again and again", retries(1), []Failure{oneFailure("crash", 10), oneFailure("crash", 20), oneFailure("crash", 30), oneFailure("crash", 31)}, true, "from step 30 to step 31"},
		{"until there is none", retries(1), []Failure{oneFailure("crash", 10), oneFailure("crash", 20), oneFailure("crash", 20)}, false, "no progress since step 20"},
		{"a complete checkpoint is progress", retries(1), []Failure{oneFailure("crash", 0), oneFailure("crash", 0, savedAt(2, 5))}, true, "from step 0 to step 5"},
		{"one of an earlier attempt is not", retries(1), []Failure{oneFailure("crash", 0), oneFailure("crash", 0, savedAt(1, 5))}, false, "no progress"},
		{"another cause has retries of its own", retries(3), []Failure{oneFailure("crash", 10), oneFailure("network", 10)}, true, "retry 1 of 3, the limit of the run"},
		{"but all share those of the run", retries(2), []Failure{oneFailure("crash", 10), oneFailure("network", 10), oneFailure("ecc", 10)}, false, "no progress since step 10; 2 of 2 retries used by all causes together"},
		{"what time heals is tried more often", retries(9), []Failure{oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0)}, true, "retry 5 of 5"},
		{"and not for ever", retries(9), []Failure{oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0)}, false, "5 of 5 retries used, the limit for network (the run allows 9)"},
		{"the run's number is the most", retries(2), []Failure{oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0)}, false, "2 of 2 retries used"},
		{"a run may ask for more of one cause", retries(0, "network=2"), []Failure{oneFailure("network", 0), oneFailure("network", 0)}, true, "retry 2 of 2, as the run sets for network; no progress"},
		{"and no more than that", retries(0, "network=2"), []Failure{oneFailure("network", 0), oneFailure("network", 0), oneFailure("network", 0)}, false, "2 of 2 retries used"},
		{"or for none", retries(5, "network=0"), []Failure{oneFailure("network", 0)}, false, "the run asks for no retries of network"},
		{"unknown progress uses nothing up", retries(1), []Failure{oneFailure("crash", -1), oneFailure("crash", -1), oneFailure("crash", 5), oneFailure("crash", -1)}, true, "nothing tells how far it got, so it uses up no retry (1 of at most 5 such attempts in a row)"},
		{"but is bounded", retries(1), []Failure{oneFailure("crash", -1), oneFailure("crash", -1), oneFailure("crash", -1), oneFailure("crash", -1), oneFailure("crash", -1), oneFailure("crash", -1)}, false, "of 6 attempts in a row nothing tells"},
		{"what cannot pass is not tried", retries(5), []Failure{oneFailure("oom", 10)}, false, "unchanged it would fail in the same way"},
		{"unless the run asks for it", retries(5, "oom=1"), []Failure{oneFailure("oom", 10)}, true, "retry 1 of 1"},
		{"and some never", retries(5, "config=3"), []Failure{oneFailure("config", 10)}, false, "unchanged it would fail"},
		{"nor a refused configuration", retries(5), []Failure{oneFailure(UnknownCause, 0, exitCode(ExitUsage))}, false, "unchanged it would fail"},
		{"nor what is missing on the node", retries(5), []Failure{oneFailure(UnknownCause, 0, exitCode(ExitMissing))}, false, "unchanged it would fail"},
		{"nor a missing command", retries(5), []Failure{oneFailure(UnknownCause, 0, exitCode(ExitNoCommand))}, false, "unchanged it would fail"},
		{"the same file twice ends it", retries(5, "file=5"), []Failure{oneFailure("file", 10, ofFile("a.parquet")), oneFailure("file", 10, ofFile("a.parquet"))}, false, "a.parquet has failed before"},
		{"even with progress between", retries(5, "file=5"), []Failure{oneFailure("file", 10, ofFile("a.parquet")), oneFailure("file", 20, ofFile("a.parquet"))}, false, "a.parquet has failed before"},
		{"another file does not", retries(5, "file=5"), []Failure{oneFailure("file", 10, ofFile("a.parquet")), oneFailure("file", 10, ofFile("b.parquet"))}, true, "retry 1 of 5"},
		{"a checkpoint that cannot be loaded is passed over", retries(5), []Failure{oneFailure("checkpoint", 0, resumed("c/step_30"))}, true, "retry 1 of 2, the limit for checkpoint (the run allows 5); from a checkpoint older than c/step_30"},
		{"one that the configuration names cannot", retries(5), []Failure{oneFailure("checkpoint", 0)}, false, "unchanged it would fail"},
		{"hardware goes to another node", retries(5), []Failure{oneFailure("ecc", 0, onNode("7"))}, true, "retry 1 of 3, the limit for ecc (the run allows 5); not on node-7, where it failed"},
		{"nor what another node would not heal", retries(5), []Failure{oneFailure("driver", 0, onNode("7"))}, false, "unchanged it would fail"},
		{"unless the run asks for it, and then elsewhere", retries(5, "driver=1"), []Failure{oneFailure("driver", 0, onNode("7"))}, true, "retry 1 of 1, as the run sets for driver; not on node-7, where it failed"},
		{"a lost node can pass", retries(2), []Failure{oneFailure(UnknownCause, 0, lost)}, true, "attempt 2 follows"},
		{"no workers at all can pass", retries(2), []Failure{oneFailure("", 0, noWorkers), oneFailure("", 0, noWorkers)}, true, "retry 2 of 2"},
		{"taken ports do not count", retries(0), []Failure{oneFailure(UnknownCause, 0, exitCode(ExitPorts))}, true, "does not count as a retry"},
		{"a job that somebody removed is not sent again", retries(5), []Failure{oneFailure("crash", 10, func(f *Failure) { f.Found = false })}, false, "It is crash; worker 0 (node-1) exited with code 1"},
	} {
		r := Run{Options: tc.options, Shape: Shape{Nodes: 1}, CheckpointPath: "c"}
		for i, f := range tc.failures {
			r.Attempt = i + 1
			now := time.Unix(int64(1000*i), 0)
			r.NotBefore = time.Time{}
			reason, again := r.Retry(f, testRules, now)
			last := i == len(tc.failures)-1
			if again != (!last || tc.again) || last && !strings.Contains(reason, tc.reason) {
				t.Errorf("%s: after attempt %d again %v: %s", tc.name, r.Attempt, again, reason)
			}
			if again != r.NotBefore.After(now) {
				t.Errorf("%s: after attempt %d it waits until %s", tc.name, r.Attempt, r.NotBefore)
			}
			if f.Cause != nil && (f.Cause.Retry == nil || f.Cause.Retry.Again != again || !f.Cause.Retry.At.Equal(r.NotBefore)) {
				t.Errorf("%s: the plan is %+v", tc.name, f.Cause.Retry)
			}
		}
	}
}

func TestAStopIsNeverFollowed(t *testing.T) {
	t.Parallel()
	r := Run{Attempt: 1, StopRequested: true, Options: Options{Retries: 3}, Shape: Shape{Nodes: 1}}
	if reason, again := r.Retry(oneFailure("crash", 3), testRules, time.Unix(0, 0)); again || r.Retried != 0 || reason != "It is crash; worker 0 (node-1) exited with code 1" {
		t.Errorf("again %v, %d retries used: %s", again, r.Retried, reason)
	}
}

// The others of an attempt that lost its ports ended because of it; beside another failure they are not the cause.
func TestTakenPortsAreAFailureOnlyForALongTime(t *testing.T) {
	t.Parallel()
	killed := func(w *Worker) { w.Stopping, w.ExitCode, w.State = true, 143, WorkerComplete }
	for _, tc := range []struct {
		name    string
		run     Run
		workers []Worker
		again   bool
		ports   int
	}{
		{"the others are stopped", Run{}, []Worker{ended(0, ExitPorts), ended(1, 0, killed)}, true, 1},
		{"or wait for worker 0 in vain", Run{}, []Worker{ended(0, ExitPorts), ended(1, ExitRendezvous)}, true, 1},
		{"another failure", Run{}, []Worker{ended(0, 1), ended(1, ExitPorts)}, false, 0},
		{"a worker that finished", Run{}, []Worker{ended(0, 0), ended(1, ExitPorts)}, false, 0},
		{"for ever", Run{PortConflicts: 5}, []Worker{ended(0, ExitPorts)}, false, 5},
		{"which can be retried as others", Run{PortConflicts: 5, Options: Options{Retries: 1}}, []Worker{ended(0, ExitPorts)}, true, 5},
	} {
		r := tc.run
		r.Attempt, r.Shape.Nodes = 1, len(tc.workers)
		if reason, again := r.Retry(Failure{Observation: Observation{Found: true, Workers: tc.workers}, Why: "why"}, testRules, time.Unix(0, 0)); again != tc.again || r.PortConflicts != tc.ports {
			t.Errorf("%s: again %v, %d port conflicts: %s", tc.name, again, r.PortConflicts, reason)
		}
	}
}

func TestTheWaitDoublesUpToItsLongest(t *testing.T) {
	t.Parallel()
	for category, want := range map[string]string{"network": "30s 1m 2m 2m 2m", "none of the rules": "10s 20s 40s 1m20s 2m40s 5m 5m"} {
		r := Run{Options: Options{Retries: 20, Retry: RetryPolicy{category: 20}}, Shape: Shape{Nodes: 1}}
		var waits []string
		for range strings.Fields(want) {
			r.Attempt++
			if reason, again := r.Retry(oneFailure(category, 0), testRules, time.Unix(0, 0)); !again {
				t.Fatal(reason)
			}
			waits = append(waits, ShortDuration(r.NotBefore.Sub(time.Unix(0, 0))))
		}
		if got := strings.Join(waits, " "); got != want {
			t.Errorf("%s: waits are %s, want %s", category, got, want)
		}
	}
}

func TestNodesWithFailuresOfHardwareAreAvoided(t *testing.T) {
	t.Parallel()
	r := Run{Options: Options{Retries: 20}, Shape: Shape{Nodes: 1}}
	for i := range 12 {
		r.Attempt++
		f := oneFailure("ecc", int64(i+1), onNode(fmt.Sprintf("%02d", i)))
		if reason, again := r.Retry(f, testRules, time.Unix(0, 0)); !again {
			t.Fatal(reason)
		}
		if len(f.Cause.Retry.Avoid) != min(i+1, MaxAvoided) {
			t.Errorf("after %d nodes the plan avoids %v", i+1, f.Cause.Retry.Avoid)
		}
	}
	if got := r.Shape.Avoid; got != "04,05,06,07,08,09,10,11" || !got.Has("04") || got.Has("03") {
		t.Errorf("it avoids %q", got)
	}
	if clean := r.Shape.Unassigned(); clean.Avoid != "" || clean.Hash() == r.Shape.Hash() {
		t.Errorf("a copy of it avoids %q", clean.Avoid)
	}
	r.ForgetFailures()
	if r.Retried != 0 || len(r.Ledger.Failures) != 0 || len(r.Ledger.Strikes) == 0 {
		t.Errorf("a person gives it %+v", r.Ledger)
	}
}

// However a run's attempts fail, it ends: after a number of attempts in a row without progress that its options bound.
func TestRetriesWithoutProgressEnd(t *testing.T) {
	t.Parallel()
	categories := make([]string, 0, len(testRules))
	for _, rule := range testRules {
		categories = append(categories, rule.Category)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := Run{Options: Options{Retries: rapid.IntRange(0, 20).Draw(t, "retries"), Retry: RetryPolicy{}}, Shape: Shape{Nodes: 1}, CheckpointPath: "c"}
		for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom(categories), 0, 3, rapid.ID[string]).Draw(t, "asked for") {
			r.Options.Retry[c] = rapid.IntRange(0, 20).Draw(t, c)
		}
		most := r.Options.most()
		best, idle := int64(0), 0
		for r.Attempt = 1; ; r.Attempt++ {
			step := rapid.Int64Range(-1, 30).Draw(t, "step")
			f := oneFailure(rapid.SampledFrom(categories).Draw(t, "category"), step, onNode(rapid.SampledFrom([]string{"1", "2"}).Draw(t, "node")))
			if rapid.Bool().Draw(t, "file") {
				ofFile(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"))(&f)
			}
			if rapid.Bool().Draw(t, "resumed") {
				resumed("c/step_1")(&f)
			}
			before := r
			rule := testRules.Of(f.Cause.Category)
			reason, again := r.Retry(f, testRules, time.Unix(int64(r.Attempt), 0))
			idle++
			if step > best {
				best, idle = step, 1
			}
			switch {
			case r.Ledger.Best != best:
				t.Fatalf("the best step is %d, want %d", r.Ledger.Best, best)
			case again && r.Options.RetriesOf(rule) == 0:
				t.Fatalf("%s is tried again: %s", f.Cause.Category, reason)
			case again && step < 0 && r.Retried != before.Retried:
				t.Fatalf("unknown progress uses up %d retries", r.Retried-before.Retried)
			case again && step >= 0 && r.Retried > most:
				t.Fatalf("%d retries of %d", r.Retried, most)
			case again && rule.OtherNode && !r.Shape.Avoid.Has(f.Workers[0].NodeID):
				t.Fatalf("it may go back to the node: %q", r.Shape.Avoid)
			case !again && !r.NotBefore.Equal(before.NotBefore), again && !r.NotBefore.After(time.Unix(int64(r.Attempt), 0)):
				t.Fatalf("it waits until %s", r.NotBefore)
			case idle > 1+most*(MaxUnknownProgress+1)+MaxUnknownProgress:
				t.Fatalf("%d attempts in a row without progress", idle)
			}
			if !again {
				break
			}
		}
	})
}

func TestAPolicyIsWrittenInOrder(t *testing.T) {
	t.Parallel()
	if got := (RetryPolicy{"b": 2, "a": 0}).String(); got != "a=0,b=2" {
		t.Errorf("it is %q", got)
	}
	if got := NewNodeIDs("b", "", "a,c", "a", "b"); got != "a,b" || !slices.Equal(got.List(), []string{"a", "b"}) || NodeIDs("").List() != nil {
		t.Errorf("the IDs are %q", got)
	}
}

func TestTheReasonNamesTheWorkerThatFailedOfTheCause(t *testing.T) {
	t.Parallel()
	bad := func(rank int, at int64) Worker {
		return Worker{Rank: rank, NodeName: fmt.Sprintf("gpu-%d", rank), State: WorkerFailed, Started: true, Exited: true, ExitCode: rank + 1, EndedAt: time.Unix(at, 0), Report: ExitReport{Read: true}}
	}
	victim, root := bad(0, 100), bad(3, 101) // the victim was seen to end first
	for summary, want := range map[string]string{
		"GPU memory ran out on worker 3 (gpu-3): 2 GiB were asked for.": "GPU memory ran out on worker 3 (gpu-3): 2 GiB were asked for (exited with code 4)",
		"A module is missing.": "A module is missing; worker 3 (gpu-3) exited with code 4",
	} {
		r := Run{Shape: Shape{Nodes: 4}, Attempt: 1, Options: Options{Retries: 3}}
		o := Observation{Found: true, Dead: true, Workers: []Worker{victim, root}}
		c := &Cause{Category: "crash", Retryable: true, Summary: summary, Rank: 3, Node: "gpu-3", Victims: []int{0}, Fingerprint: "crash"}
		now := time.Unix(200, 0)
		reason, again := r.Retry(Failure{Observation: o, Cause: c, Why: r.endedBy(o.Workers, victim)}, testRules, now)
		if !again || reason != "attempt 1 failed: "+want+"; attempt 2 follows: retry 1 of 1, the limit for crash (the run allows 3)" {
			t.Errorf("the reason is %q", reason)
		}
		if told := r.WithWait(reason, now); told != strings.Replace(reason, "attempt 2 follows:", "attempt 2 follows in 10s:", 1) {
			t.Errorf("the history says %q", told)
		}
		r.State, r.Cause = Paused, c
		if got := r.PausedFailed(reason); got != "attempt 1 failed: "+want+"; paused as requested" || !r.NotBefore.IsZero() || !c.Retry.At.IsZero() || !strings.HasPrefix(r.Follows(), "Attempt 2 follows when it is resumed: retry 1 of 1") {
			t.Errorf("paused, it is %q; %s", got, r.Follows())
		}
	}
	unknown := Run{Shape: Shape{Nodes: 4}, Attempt: 1}
	if reason, _ := unknown.Retry(Failure{Observation: Observation{Found: true, Workers: []Worker{victim, root}}, Cause: &Cause{Category: UnknownCause, Rank: 3}, Why: victim.Failure()}, testRules, time.Unix(0, 0)); !strings.HasPrefix(reason, "worker 3 (gpu-3) exited with code 4") {
		t.Errorf("without a known cause it is %q", reason)
	}
}

func TestWhatIsNotToFollowAnyMoreIsSaid(t *testing.T) {
	t.Parallel()
	waits := func() *Run {
		return &Run{State: Queued, Attempt: 1, NotBefore: time.Unix(500, 0), Options: Options{Retries: 3}, Cause: &Cause{Category: "crash", Summary: "It is crash.", Rank: -1, Retry: &RetryPlan{Again: true, Why: "retry 1 of 1", At: time.Unix(500, 0)}}}
	}
	now := time.Unix(400, 0)
	given, stopped, held := waits(), waits(), waits()
	if _, err := given.StopRetrying(sent, "me", now); err != nil || given.Follows() != "Not tried again on request." || given.Cause.Retry.Again {
		t.Errorf("given up: %v, %s", err, given.Follows())
	}
	if _, err := stopped.Stop(sent, "me", StopByPerson, now); err != nil || stopped.State != Stopped || stopped.Follows() != "Not tried again, because it was stopped." {
		t.Errorf("stopped: %v, %s, %s", err, stopped.State, stopped.Follows())
	}
	if _, err := held.Pause(sent, Pausing{When: PauseNow}, "me", now); err != nil || held.State != Paused || held.Follows() != "Attempt 2 follows when it is resumed: retry 1 of 1." || !held.Cause.Retry.At.IsZero() {
		t.Errorf("held: %v, %s, %s", err, held.State, held.Follows())
	}
}

func TestAPolicyThatEndsARunIsNamed(t *testing.T) {
	t.Parallel()
	r := Run{StopCause: StopLoss, Rollback: &Rollback{Count: MaxRollbacks}, Options: Options{OnDivergence: PolicyStop, OnPlateau: PolicyRollback}, Notices: []Notice{{Kind: NoticeNotFinite}, {Kind: NoticeDiverged, Step: 7}, {Kind: NoticePlateau}}}
	if n := r.EndedBy(); n == nil || n.Step != 7 || r.StopPolicy(n.Kind) != "its policy is on_divergence = stop" {
		t.Errorf("it is %+v", n)
	}
	if got := r.StopPolicy(NoticePlateau); got != "its policy is on_plateau = rollback, and it went back 3 times already" {
		t.Errorf("it is %q", got)
	}
	r.Rollback = nil
	if got := r.StopPolicy(NoticePlateau); got != "its policy is on_plateau = rollback, and starting over unchanged would not help" {
		t.Errorf("it is %q", got)
	}
	r.StopCause = StopByPerson
	if n := r.EndedBy(); n != nil {
		t.Errorf("a person's stop is that of %+v", n)
	}
}

// TestWhatAnAttemptReachedBeforeAPauseCounts has an attempt be paused at step 100, and the next fail.
func TestWhatAnAttemptReachedBeforeAPauseCounts(t *testing.T) {
	t.Parallel()
	r := Run{Attempt: 2, Shape: Shape{Nodes: 1}, Retried: 1, Ledger: RetryLedger{Best: 50, Failures: map[string]int{"crash": 1}, Last: map[string]int{"crash": 1}}}
	reached := func(step int64) Failure {
		return Failure{Observation: Observation{Found: true, Workers: []Worker{{State: WorkerComplete, Started: true, Report: ExitReport{Step: step, Read: true}}}}}
	}
	r.NoteReach(reached(40))
	if r.Ledger.Best != 50 || r.Retried != 1 {
		t.Errorf("it got no further: %+v, %d used", r.Ledger, r.Retried)
	}
	r.NoteReach(reached(100))
	if r.Ledger.Best != 100 || len(r.Ledger.Failures) > 0 || r.Retried != 0 {
		t.Errorf("it got further: %+v, %d used", r.Ledger, r.Retried)
	}
	r.Ledger.Best, r.NextResume = 0, ResumeStart
	if r.NoteReach(reached(100)); r.Ledger.Best != 0 {
		t.Error("what is left behind counts")
	}
}
