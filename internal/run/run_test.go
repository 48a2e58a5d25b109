package run

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestIDsSortByTimeAndParseBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var ids []ID
	for i := range 200 {
		id := NewID(at.Add(time.Duration(i*i) * time.Millisecond * 7))
		if _, err := ParseID(string(id)); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("IDs do not sort by time: %v", ids)
	}
}

func TestParseIDRefusesWhatIsNotAnID(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "r-", "r-123", "r-0123456789a", "r-ABCDEFGHIJ", "r-wwwwwwwwww", "x-0123456789", "r-../../etc/p", string(make([]byte, 1<<20))} {
		if _, err := ParseID(bad); !errors.Is(err, fault.ErrInvalid) || len(err.Error()) > 400 {
			t.Errorf("ParseID(%.20q) = %v, want a short fault.ErrInvalid", bad, err)
		}
	}
}

func TestTransitionsFollowTheTable(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	for _, from := range States() {
		for _, to := range States() {
			r := Run{ID: "r-0000000000", State: from}
			ev, err := r.Transition(to, "test", "why", at)
			switch {
			case from == to:
				if ev != nil || err != nil {
					t.Errorf("%s to itself gave %v, %v", from, ev, err)
				}
			case CanFollow(from, to):
				if err != nil || ev.From != from || ev.To != to || r.State != to || r.Reason != "why" {
					t.Errorf("%s -> %s: %v, %v", from, to, ev, err)
				}
			default:
				if !errors.Is(err, fault.ErrConflict) || r.State != from {
					t.Errorf("%s -> %s: %v, state %s", from, to, err, r.State)
				}
			}
			if from.Terminal() && CanFollow(from, to) && (from == Succeeded || to != Queued) {
				t.Errorf("%s has ended and can become %s", from, to)
			}
		}
	}
}

func TestDerive(t *testing.T) {
	t.Parallel()
	w := func(rank int, s WorkerState, mod ...func(*Worker)) Worker {
		out := Worker{Rank: rank, State: s, NodeName: "n", Started: s != WorkerPending}
		if s == WorkerComplete || s == WorkerFailed {
			out.Exited, out.EndedAt = true, time.Unix(int64(100+rank), 0)
		}
		for _, m := range mod {
			m(&out)
		}
		return out
	}
	exit := func(code int) func(*Worker) { return func(w *Worker) { w.ExitCode = code } }
	stopping := func(w *Worker) { w.Stopping = true }
	oom := func(w *Worker) { w.OOM = true }
	early := func(w *Worker) { w.EndedAt = time.Unix(1, 0) }
	for _, tc := range []struct {
		name   string
		from   State
		stop   bool
		obs    Observation
		want   State
		reason string
	}{
		{"nothing placed is pending", Pending, false, Observation{Found: true}, Pending, ""},
		{"one of two running is pending", Pending, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerPending)}}, Pending, ""},
		{"all running is running", Pending, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerRunning)}}, Running, ""},
		{"one finished, one running is running", Running, false, Observation{Found: true, Workers: []Worker{w(0, WorkerComplete), w(1, WorkerRunning)}}, Running, ""},
		{"all finished is succeeded", Running, false, Observation{Found: true, Dead: true, Workers: []Worker{w(0, WorkerComplete), w(1, WorkerComplete)}}, Succeeded, ""},
		{"one failed, one running is degraded", Running, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerFailed, exit(1))}}, Degraded, "worker 1 (n) exited with code 1"},
		{"the first failure is the reason", Running, false, Observation{Found: true, Dead: true, Workers: []Worker{w(0, WorkerFailed, exit(7)), w(1, WorkerFailed, exit(3), early)}}, Failed, "worker 1 (n) exited with code 3"},
		{"one failed, one finished is failed", Running, false, Observation{Found: true, Workers: []Worker{w(0, WorkerComplete), w(1, WorkerFailed, exit(1), oom)}}, Failed, "worker 1 (n) ran out of memory and was killed"},
		{"a lost worker beside a running one is degraded", Running, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerLost)}}, Degraded, "worker 1 (n) was lost"},
		{"a disconnected node is degraded", Running, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerUnknown)}}, Degraded, "the connection to a worker's node is lost"},
		{"workers that are told to stop are stopping", Running, true, Observation{Found: true, Stopped: true, Workers: []Worker{w(0, WorkerRunning, stopping), w(1, WorkerComplete, exit(143), stopping)}}, Stopping, ReasonStopping},
		{"all stopped is stopped", Stopping, true, Observation{Found: true, Stopped: true, Dead: true, Workers: []Worker{w(0, WorkerComplete, exit(143), stopping), w(1, WorkerComplete, exit(143), stopping)}}, Stopped, ""},
		{"finishing in spite of a stop is succeeded", Stopping, true, Observation{Found: true, Stopped: true, Dead: true, Workers: []Worker{w(0, WorkerComplete), w(1, WorkerComplete)}}, Succeeded, ""},
		{"a stop does not wait for a disconnected node", Stopping, true, Observation{Found: true, Stopped: true, Workers: []Worker{w(0, WorkerComplete, exit(143), stopping), w(1, WorkerUnknown, stopping)}}, Stopped, ""},
		{"a stop before any placement is stopped", Stopping, true, Observation{Found: true, Stopped: true, Dead: true}, Stopped, ""},
		{"a stop by somebody else is told", Running, false, Observation{Found: true, Stopped: true, Dead: true, Workers: []Worker{w(0, WorkerComplete, exit(143), stopping), w(1, WorkerComplete, exit(143), stopping)}}, Stopped, "the job was stopped outside of CoTrain"},
		{"a vanished job is failed", Running, false, Observation{}, Failed, "the job is gone from Nomad: it was purged or collected outside of CoTrain"},
		{"a vanished job after a stop is stopped", Stopping, true, Observation{}, Stopped, "stopped; the job is gone from Nomad"},
		{"a dead job with too few workers is failed", Pending, false, Observation{Found: true, Dead: true, Workers: []Worker{w(0, WorkerComplete)}}, Failed, "Nomad ended the job before it placed every worker"},
		{"what is over stays over", Failed, false, Observation{Found: true, Workers: []Worker{w(0, WorkerRunning), w(1, WorkerRunning)}}, Failed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Run{State: tc.from, StopRequested: tc.stop, Shape: Shape{Nodes: 2}}
			if tc.stop {
				r.StopCause = StopByPerson
			}
			got, reason := r.Derive(tc.obs)
			if got != tc.want || reason != tc.reason {
				t.Errorf("Derive = %s, %q; want %s, %q", got, reason, tc.want, tc.reason)
			}
		})
	}
}

func TestShapeHashDependsOnEveryField(t *testing.T) {
	t.Parallel()
	base := Shape{Nodes: 2, GPUs: 1, GPUModel: "A100", GPUMinMemory: 1, CPU: 1, Memory: 1}
	seen := map[string]bool{base.Hash(): true}
	for _, mod := range []func(*Shape){
		func(s *Shape) { s.Nodes++ }, func(s *Shape) { s.GPUs++ }, func(s *Shape) { s.GPUModel = "H100" },
		func(s *Shape) { s.GPUMinMemory++ }, func(s *Shape) { s.CPU++ }, func(s *Shape) { s.Memory++ },
	} {
		s := base
		mod(&s)
		if seen[s.Hash()] {
			t.Errorf("%+v has the hash of another shape", s)
		}
		seen[s.Hash()] = true
	}
	if len(base.ParentJob()) > 40 {
		t.Errorf("%s is too long", base.ParentJob())
	}
}

func TestProgressSurvivesJSONWithNumbersThatAreNotFinite(t *testing.T) {
	t.Parallel()
	for _, v := range []float64{1.5, math.NaN(), math.Inf(1), math.Inf(-1)} {
		in := Run{Progress: Progress{Step: 3, Loss: v, HasLoss: true, TokensPerSec: v}}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var out Run
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		same := out.Progress.Loss == v || (math.IsNaN(v) && math.IsNaN(out.Progress.Loss))
		if !same || out.Progress.Step != 3 || !out.Progress.HasLoss {
			t.Errorf("%v came back as %+v from %s", v, out.Progress, b)
		}
	}
	var n Number
	if err := json.Unmarshal([]byte(`"abc"`), &n); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a word is a number: %v", err)
	}
}

func TestDoomed(t *testing.T) {
	t.Parallel()
	bad := func(rank int) Worker { return Worker{Rank: rank, State: WorkerFailed, Exited: true, ExitCode: 1} }
	up := func(rank int) Worker { return Worker{Rank: rank, State: WorkerRunning} }
	fine := func(rank int) Worker { return Worker{Rank: rank, State: WorkerComplete, Exited: true} }
	for _, tc := range []struct {
		name  string
		inner int64
		stop  bool
		ws    []Worker
		want  bool
	}{
		{"worker 0 failed and another runs", 5, false, []Worker{bad(0), up(1)}, true},
		{"worker 0 failed and another waits for a place", 5, false, []Worker{bad(0), {Rank: 1, State: WorkerPending}}, true},
		{"another failed, with DiLoCo", 5, false, []Worker{up(0), bad(1)}, false},
		{"another failed, without DiLoCo", 0, false, []Worker{up(0), bad(1)}, true},
		{"worker 0 finished", 5, false, []Worker{fine(0), up(1)}, false},
		{"nobody is left", 5, false, []Worker{bad(0), bad(1)}, false},
		{"a stop is under way", 5, true, []Worker{bad(0), up(1)}, false},
	} {
		r := Run{Shape: Shape{Nodes: 2}, InnerSteps: tc.inner, StopRequested: tc.stop}
		if got := r.Doomed(Observation{Found: true, Workers: tc.ws}, time.Time{}); (got != "") != tc.want {
			t.Errorf("%s: %q", tc.name, got)
		}
	}
}

func TestAFieldErrorShowsAValueOnlyWhereThereIsOne(t *testing.T) {
	t.Parallel()
	if got := (FieldError{Field: "name", Rule: "must not be empty", Fix: "give it one"}).Error(); got != "name: must not be empty; give it one" {
		t.Error(got)
	}
	if got := (FieldError{Field: "nodes", Value: "many", Rule: "must be a number", Fix: "use 1"}).Error(); got != `nodes = "many": must be a number; use 1` {
		t.Error(got)
	}
}

func TestTheNumbersOfIDsHaveTheirOrder(t *testing.T) {
	t.Parallel()
	ids := []ID{"r-0000000000", "r-0000000001", "r-000000000v", "r-0000000010", "r-1o39bgioiu", "r-1o39bgjqfl", "r-vvvvvvvvvv"}
	last := int64(-1)
	for _, id := range ids {
		n, err := id.Number()
		if err != nil || n <= last || n >= 1<<50 {
			t.Errorf("%s is %d after %d, %v", id, n, last, err)
		}
		last = n
	}
	for _, bad := range []ID{"", "r-", "r-00000", "r-000000000w", "r-00000000000", "x"} {
		if n, err := bad.Number(); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
}
