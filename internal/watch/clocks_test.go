package watch_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// place puts a worker on a node where it does not run yet.
func (r *rig) place(rank int, node string) {
	r.cluster.Set(r.child, rank, func(w *run.Worker) { w.NodeID, w.NodeName = node, "gpu-"+node })
}

func TestAClockThatIsApartIsNoticedBeforeTheWorkersRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.Fail("Host", errors.New("the node is away"))
	r.cluster.SetClock("a", 2*time.Second)
	r.cluster.SetClock("b", -10*time.Second)
	r.place(0, "a")
	r.place(1, "b")
	r.eventually("the nodes have been asked", func() bool { return r.cluster.Calls("Host") >= 2 })
	r.cluster.Fail("Host", nil)
	r.skip.Add(int64(time.Hour)) // when it is asked again
	n := r.noticed(run.NoticeClock)
	if n.Rank != 1 || n.Node != "gpu-b" || n.Text != "the clock of worker 1 (gpu-b) is 12.0 s (± 0.1 s) behind worker 0's: the mesh takes it for dead" || !strings.Contains(n.Hint, "chrony") {
		t.Errorf("the notice is %+v", n)
	}
	if got, err := r.store.Run(t.Context(), r.id); err != nil || got.State != run.Pending {
		t.Errorf("it is %s, %v", got.State, err)
	}
	r.cluster.Set(r.child, 0, nomadtest.Start)
	r.cluster.Set(r.child, 1, nomadtest.Start)
	if got := r.becomes(run.Running); got.Notice(run.NoticeClock) == nil {
		t.Error("the notice is gone once it runs")
	}
	if evs := r.events(string(run.NoticeClock)); len(evs) != 1 || evs[0].Rank != 1 || evs[0].Actor != run.Console {
		t.Errorf("the events are %+v", evs)
	}
	asked := r.cluster.Calls("Host")
	r.looks("it goes on", func(got run.Run) bool { return got.Notice(run.NoticeClock) != nil })
	if now := r.cluster.Calls("Host"); now != asked {
		t.Errorf("the nodes were asked %d times more", now-asked)
	}
	r.cluster.SetClock("b", 2*time.Second) // somebody has set it
	r.skip.Add(int64(2 * time.Minute))
	r.looks("it is over", func(got run.Run) bool { return got.Notice(run.NoticeClock) == nil })
	if evs := r.events(string(run.NoticeClock) + run.NoticeOver); len(evs) != 1 {
		t.Errorf("the events are %+v", evs)
	}
}

func TestOnlyClocksThatAreSurelyApartOnOtherNodesAreNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetClock("a", time.Minute)
	r.place(0, "a")
	r.place(1, "a")
	r.startBoth()
	r.looks("it is looked at", func(got run.Run) bool { return got.State == run.Running })
	if n := r.cluster.Calls("Host"); n != 0 {
		t.Errorf("the one node was asked %d times", n)
	}
	r = newRig(t)
	r.cluster.SetClock("a", 0)
	r.cluster.SetClock("b", -3050*time.Millisecond) // to a tenth of a second each
	r.place(0, "a")
	r.place(1, "b")
	r.startBoth()
	r.eventually("both were asked", func() bool { return r.cluster.Calls("Host") == 2 })
	for range 3 {
		r.looks("it is looked at", func(got run.Run) bool { return got.State == run.Running })
	}
	if got := r.becomes(run.Running); len(got.Notices) != 0 {
		t.Errorf("the notices are %+v", got.Notices)
	}
}
