package queue_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// add stores a queued run of so many workers.
func (r *rig) add(id run.ID, nodes, priority int) run.ID {
	r.t.Helper()
	_, _, err := r.store.CreateRun(r.t.Context(), run.Run{ID: id, Name: string(id), State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: nodes},
		Options: run.Options{Priority: priority}}, "", run.Event{RunID: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// child is the job of a run's newest attempt.
func (r *rig) child(id run.ID) string {
	r.t.Helper()
	as, err := r.store.Attempts(r.t.Context(), id)
	if err != nil || len(as) == 0 {
		r.t.Fatal(as, err)
	}
	return as[len(as)-1].JobID
}

// place has Nomad place workers of a run, and the watcher see it.
func (r *rig) place(id run.ID, ranks ...int) {
	r.t.Helper()
	child := r.child(id)
	for _, rank := range ranks {
		r.cluster.Set(child, rank, nomadtest.Start)
	}
	_, err := r.store.Update(r.t.Context(), id, func(u *store.Update) error {
		for _, rank := range ranks {
			u.Workers = append(u.Workers, run.Worker{AllocID: nomadtest.Alloc(child, rank), RunID: id, Attempt: u.Run.Attempt, Rank: rank, State: run.WorkerRunning})
		}
		if len(u.Workers) < u.Run.Shape.Nodes {
			return nil
		}
		_, err := u.Run.Transition(run.Running, "test", "", time.Now())
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.queue.Changed()
}

// finish ends a run whose workers are 0 to n-1.
func (r *rig) finish(id run.ID, n int) {
	r.t.Helper()
	for rank := range n {
		r.cluster.Set(r.child(id), rank, nomadtest.End(0))
	}
	r.set(id, run.Succeeded)
	r.queue.Changed()
	r.queue.Wake()
}

// working is a rig whose queue works on a cluster with so many places, without the rig's own run; in a bubble.
func working(t *testing.T, places int) *rig {
	t.Helper()
	r := newRig(t)
	r.set(r.id, run.Stopped)
	r.cluster.SetPlaces(map[string]int{"node-1": places})
	t.Cleanup(r.start())
	return r
}

func TestARunWaitsUntilAllOfItsWorkersFit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 3)
		first := r.add("r-0000000010", 2, 0)
		r.queue.Wake()
		synctest.Wait()
		if r.get(first).State != run.Pending {
			t.Fatalf("one that fits is %s: %s", r.get(first).State, r.get(first).Reason)
		}
		large, small := r.add("r-0000000011", 2, 0), r.add("r-0000000012", 1, 0)
		r.queue.Wake()
		synctest.Wait() // Nomad has placed none of the first's workers yet
		if got := r.get(large); got.State != run.Queued || got.Reason != "waits until Nomad has placed the workers of run r-0000000010" || got.Attempt != 0 {
			t.Errorf("one that does not fit beside it is %s: %s", got.State, got.Reason)
		}
		r.place(first, 0, 1)
		time.Sleep(time.Second) // less than between two looks
		if got := r.get(large); got.State != run.Queued || got.Reason != "needs 2 places, 1 of 3 are free" {
			t.Errorf("once it is placed it is %s: %s", got.State, got.Reason)
		}
		if got := r.get(small); got.State != run.Queued || got.Reason != "waits for run r-0000000011, which comes first and needs the same nodes" {
			t.Errorf("one behind it that would fit is %s: %s", got.State, got.Reason)
		}
		r.finish(first, 2)
		time.Sleep(time.Second)
		if r.get(large).State != run.Pending || r.get(small).State != run.Pending {
			t.Errorf("with room for both they are %s and %s: %s", r.get(large).State, r.get(small).State, r.get(small).Reason)
		}
		if evs, err := r.store.Events(t.Context(), large, 0, 100); err != nil || len(evs) != 3 {
			t.Errorf("waiting has left %d events, %v", len(evs)-3, err)
		}
	})
}

// TestPriorityDecidesWhoStarts has 92 runs wait for three places: those of priority 90 were submitted last.
func TestPriorityDecidesWhoStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 0)
		waiting, order := map[run.ID]int{}, []string{}
		for i := range 92 {
			p := 10
			if i >= 32 {
				p = 90
			}
			id := r.add(run.ID(fmt.Sprintf("r-00000001%02d", i)), 1, p)
			waiting[id] = p
		}
		r.cluster.SetPlaces(map[string]int{"node-1": 3})
		r.queue.Changed()
		for len(waiting) > 0 {
			time.Sleep(5 * time.Second)
			var now []run.ID
			for id := range waiting {
				if r.get(id).State == run.Pending {
					now = append(now, id)
				}
			}
			if len(now) == 0 || len(now) > 3 {
				t.Fatalf("%d run, %d wait", len(now), len(waiting))
			}
			// Those of one look at the queue started together, and the last of one priority may have done so
			// beside the first of the other.
			slices.SortFunc(now, func(a, b run.ID) int {
				return cmp.Or(cmp.Compare(waiting[b], waiting[a]), cmp.Compare(a, b))
			})
			for _, id := range now {
				delete(waiting, id)
				order = append(order, string(id[len(id)-2:]))
				r.place(id, 0)
			}
			for _, id := range now {
				r.finish(id, 1)
			}
		}
		if got := strings.Join(order, " "); !strings.HasPrefix(got, "32 33 34 35") || !strings.HasSuffix(got, "90 91 00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31") {
			t.Errorf("started in the order %s", got)
		}
	})
}

func TestARunThatCanNeverFitWaitsWithItsReasonAndStopsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 3)
		never := r.add("r-0000000010", 4, 90)
		small := r.add("r-0000000011", 1, 10)
		r.queue.Wake()
		synctest.Wait()
		if got := r.get(never); got.State != run.Queued || got.Reason != "needs 4 places, 3 of 3 are free" {
			t.Errorf("it is %s: %s", got.State, got.Reason)
		}
		if r.get(small).State != run.Pending {
			t.Errorf("one behind it is %s: %s", r.get(small).State, r.get(small).Reason)
		}
		r.cluster.SetPlaces(map[string]int{"node-1": 3, "node-2": 2})
		r.queue.Changed()
		time.Sleep(time.Second)
		if got := r.get(never); got.State != run.Pending {
			t.Errorf("with another node it is %s: %s", got.State, got.Reason)
		}
	})
}

func TestWhatNomadsSchedulerRefusesWaitsWithItsWords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 3)
		r.cluster.Forbid("a constraint of the job file")
		id := r.add("r-0000000010", 1, 0)
		r.queue.Wake()
		synctest.Wait()
		if got := r.get(id); got.State != run.Queued || got.Reason != "a constraint of the job file" {
			t.Errorf("it is %s: %s", got.State, got.Reason)
		}
		r.cluster.Forbid("")
		time.Sleep(15 * time.Second) // without being told
		if got := r.get(id); got.State != run.Pending {
			t.Errorf("it is %s: %s", got.State, got.Reason)
		}
	})
}

func TestWhatAnEarlierProcessSentIsCountedToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetPlaces(map[string]int{"node-1": 3})
	r.queue.Round(t.Context())
	if r.run().State != run.Pending {
		t.Fatalf("the first is %s", r.run().State)
	}
	r.restart()
	id := r.add("r-0000000010", 3, 0)
	r.queue.Round(t.Context())
	if got := r.get(id); got.State != run.Queued || !strings.HasPrefix(got.Reason, "waits until Nomad has placed") {
		t.Errorf("it is %s: %s", got.State, got.Reason)
	}
}

func TestThoseBehindTheFirstOfTheirShapeWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetPlaces(map[string]int{"node-1": 1})
	var ids []run.ID
	for i := range 50 {
		ids = append(ids, r.add(run.ID(fmt.Sprintf("r-00000001%02d", i)), 1, 0))
	}
	counting := &countingStore{Store: r.store}
	o := r.options()
	o.Store = counting
	r.queue = queue.New(o)
	for range 3 {
		r.queue.Round(t.Context())
	}
	if got := r.get(ids[0]).Reason; got != "waits until Nomad has placed the workers of run r-0000000001" {
		t.Errorf("the first waits for %q", got)
	}
	for _, id := range ids[1:] {
		if got := r.get(id).Reason; got != "waits for its turn behind runs that come first" {
			t.Errorf("%s waits for %q", id, got)
		}
	}
	if counting.reasons != 2 {
		t.Errorf("reasons were written %d times", counting.reasons)
	}
}

// brokenStore fails what the queue does with one run.
type brokenStore struct {
	*store.Store
	broken error
	tries  int
}

func (b *brokenStore) Attempts(ctx context.Context, id run.ID) ([]run.Attempt, error) {
	if b.broken != nil {
		b.tries++
		return nil, b.broken
	}
	return b.Store.Attempts(ctx, id)
}

// logged keeps what is logged.
type logged struct{ strings.Builder }

func TestAFailureOfTheStoreIsToldLoggedAndTriedAgainLater(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"one that affects every run": {fmt.Errorf("disk full: %w", fault.ErrUnavailable), "the console cannot write its data folder, retrying"},
		"a full disk":                {fault.ErrFull.Fault().Because(errors.New("database or disk is full")), "the disk of the console's data folder is full, retrying"},
		"one of its own":             {errors.New("malformed"), "the console could not prepare it, retrying: its log says why"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.failedOnce(time.Time{}, func(*run.Run) {}) // the attempts of such a run are read
				b, log := &brokenStore{Store: r.store, broken: tc.err}, &logged{}
				o := r.options()
				o.Store, o.Logger = b, slog.New(slog.NewTextHandler(log, nil))
				r.queue = queue.New(o)
				other := r.add("r-0000000010", 1, 0)
				stop := r.start()
				defer stop()
				time.Sleep(5 * time.Minute)
				if got := r.run(); got.State != run.Queued || got.Reason != tc.want {
					t.Errorf("it is %s: %s", got.State, got.Reason)
				}
				if said := strings.Count(log.String(), string(r.id)); said == 0 || said > 15 || b.tries > 15 {
					t.Errorf("%d tries, logged %d times:\n%s", b.tries, said, log.String())
				}
				if got := r.get(other); got.State != run.Pending {
					t.Errorf("another run is %s: %s", got.State, got.Reason)
				}
				b.broken = nil
				time.Sleep(time.Minute)
				if got := r.run(); got.State != run.Pending || got.Attempt != 2 {
					t.Errorf("with the store mended it is %s in attempt %d: %s", got.State, got.Attempt, got.Reason)
				}
			})
		})
	}
}

// closed refuses one namespace.
type closed struct {
	*nomadtest.Cluster
	refuses bool
}

func (c *closed) Fit(ctx context.Context, shape run.Shape, in nomad.Room) (run.Fit, error) {
	if c.refuses && shape.Namespace != "" {
		return run.Fit{}, fault.New(fault.ErrNamespace, "Nomad has no namespace "+shape.Namespace+".", "")
	}
	return c.Cluster.Fit(ctx, shape, in)
}

func TestANamespaceThatIsRefusedStopsItsRunsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.set(r.id, run.Stopped)
		r.cluster.SetPlaces(map[string]int{"node-1": 3})
		c, o := &closed{r.cluster, true}, r.options()
		o.Cluster = c
		r.queue = queue.New(o)
		t.Cleanup(r.start())
		id := run.ID("r-0000000010")
		_, _, err := r.store.CreateRun(t.Context(), run.Run{ID: id, Name: "x", State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1, Namespace: "team-a"}}, "", run.Event{RunID: id})
		if err != nil {
			t.Fatal(err)
		}
		other := r.add("r-0000000011", 1, 0)
		r.queue.Wake()
		time.Sleep(time.Minute)
		if got := r.get(id); got.State != run.Queued || got.Reason != "Nomad has no namespace team-a" || got.Attempt != 0 {
			t.Errorf("it is %s: %s", got.State, got.Reason)
		}
		if got := r.get(other); got.State != run.Pending {
			t.Errorf("another is %s: %s", got.State, got.Reason)
		}
		c.refuses = false
		time.Sleep(time.Minute)
		if got := r.get(id); got.State != run.Pending {
			t.Errorf("once the namespace is there it is %s: %s", got.State, got.Reason)
		}
	})
}

// TestManyRunsThatFitNowhereStopNobody has more of them than are looked at at a time, of one shape and of several, alone and in a sweep.
func TestManyRunsThatFitNowhereStopNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := working(t, 3)
		number := 100
		next := func() run.ID {
			number++
			return run.ID(fmt.Sprintf("r-00000%05d", number))
		}
		var stuck []run.ID
		for _, nodes := range []int{4, 5, 6} {
			for range 40 {
				stuck = append(stuck, r.add(next(), nodes, 100))
			}
		}
		small := r.add(next(), 1, 99)
		r.queue.Wake()
		synctest.Wait()
		if got := r.get(small); got.State != run.Pending {
			t.Errorf("one behind them that fits is %s: %s", got.State, got.Reason)
		}
		for _, id := range stuck {
			if got := r.get(id); got.State != run.Queued || got.Attempt != 0 {
				t.Fatalf("%s is %s: %s", id, got.State, got.Reason)
			}
		}
		r.place(small, 0)
		for range 40 {
			r.add(next(), 1, 50)
		}
		r.queue.Wake()
		synctest.Wait()
		time.Sleep(time.Minute)
		started := 0
		for i := 100 + len(stuck) + 2; i <= number; i++ {
			if r.get(run.ID(fmt.Sprintf("r-00000%05d", i))).State == run.Pending {
				started++
			}
		}
		if started != 2 {
			t.Errorf("%d of 40 started on two places", started)
		}
	})
}
