package rounds_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	began = 1_700_000_000.0
	took  = 60 // seconds of a round
)

// asked is a store of reports that counts what is read of them.
type asked struct {
	points  []points.RoundPoint
	events  []run.Event
	workers []run.Worker
	version int64
	told    int
	err     error
}

func (a *asked) Rounds(_ context.Context, _ run.ID, q points.RoundQuery, take func(points.RoundPoint)) error {
	for _, p := range a.points {
		if slices.Contains(q.Metrics, p.Metric) && p.Step%q.Every == 0 && (p.Attempt > q.Attempt || p.Attempt == q.Attempt && p.Step >= q.From) {
			a.told++
			take(p)
		}
	}
	return a.err
}

func (a *asked) PointsVersion(context.Context, run.ID) (int64, error) { return a.version, nil }

func (a *asked) Events(_ context.Context, _ run.ID, after int64, limit int) (out []run.Event, err error) {
	for _, e := range a.events {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (a *asked) Workers(context.Context, run.ID) ([]run.Worker, error) { return a.workers, nil }

// report has workers report rounds of an attempt: worker 1 comes last, ten seconds after the others.
func (a *asked) report(attempt, workers, from, to int) {
	for k := from; k <= to; k++ {
		end := began + float64(k*took+attempt*100_000)
		for rank := range workers {
			sync := 12.0
			if rank == 1 {
				sync = 2
			}
			for metric, v := range map[string]float64{"sync_seconds": sync, "all_reduce_seconds": sync + 0.1, "time": end - sync} {
				a.points = append(a.points, points.RoundPoint{Metric: metric, Attempt: attempt, Rank: rank, Step: int64(k) * 50, Value: v, At: int64(1000 * (end + 0.5))})
			}
		}
	}
	a.version++
}

func diLoCo(state run.State, step int64) run.Run {
	return run.Run{
		ID: "r-0000000001", State: state, InnerSteps: 50, Shape: run.Shape{Nodes: 3, GPUs: 1, GPUModel: "H100"}, Progress: run.Progress{Step: step}, Revision: step,
		Config: "name_model = \"1B\"\n[diloco]\ninner_steps = 50\n[train]\nmicro_bs = 16\n[optim]\nbatch_size = 128\n",
	}
}

func of(t *testing.T, c *rounds.Cache, s *asked, r run.Run) *rounds.Rounds {
	t.Helper()
	m, err := c.Of(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestALiveRunCostsWhatIsNewOfIt(t *testing.T) {
	t.Parallel()
	s, c := &asked{}, rounds.NewCache()
	s.report(1, 3, 1, 500)
	first := of(t, c, s, diLoCo(run.Running, 500*50))
	if len(first.Rounds) != 500 || first.Rounds[499].Straggler != 1 || first.Rounds[499].Cost != 20 || first.Cut {
		t.Fatalf("%d rounds, %+v", len(first.Rounds), first.Rounds[499])
	}
	s.told = 0
	if again := of(t, c, s, diLoCo(run.Running, 500*50)); again != first || s.told != 0 {
		t.Errorf("nothing is new, and %d points were read", s.told)
	}
	s.report(1, 3, 501, 502)
	next := of(t, c, s, diLoCo(run.Running, 502*50))
	if len(next.Rounds) != 502 || s.told > 40*3*3 || next.Version == first.Version {
		t.Errorf("%d rounds after two more, for which %d points were read", len(next.Rounds), s.told)
	}
	s.version++ // of points between rounds
	if same := of(t, c, s, diLoCo(run.Running, 502*50)); same.Version != next.Version {
		t.Error("no round is new, and the rounds are others")
	}
}

func TestAWorkerWhoseLogIsReadLateIsThereInTheEnd(t *testing.T) {
	t.Parallel()
	s, c := &asked{}, rounds.NewCache()
	s.report(1, 2, 1, 100)
	of(t, c, s, diLoCo(run.Running, 5000))
	s.report(1, 3, 1, 100) // worker 2's log, all at once
	if m := of(t, c, s, diLoCo(run.Running, 5001)); m.Rounds[99].Members != 3 || m.Rounds[80].Members != 3 {
		t.Errorf("the newest rounds: %+v, %+v", m.Rounds[80], m.Rounds[99])
	}
	m := of(t, c, s, diLoCo(run.Succeeded, 5002))
	for _, r := range m.Rounds {
		if r.Members != 3 {
			t.Errorf("step %d has %d workers once the run has ended", r.Step, r.Members)
		}
	}
}

func TestAttemptsWorkersAndEventsArePutTogether(t *testing.T) {
	t.Parallel()
	s, c := &asked{}, rounds.NewCache()
	s.report(1, 3, 1, 10)
	s.report(2, 3, 6, 20)
	at := func(unix float64) time.Time { return time.UnixMilli(int64(1000 * unix)) }
	second := began + 200_000
	s.points = slices.DeleteFunc(s.points, func(p points.RoundPoint) bool { return p.Attempt == 2 && p.Rank == 2 && p.Step <= 500 })
	s.events = []run.Event{
		{Seq: 1, Kind: "mesh_ready", Attempt: 2, Rank: 0, At: at(second + 5*took)}, {Seq: 2, Kind: "checkpoint_saved", Attempt: 2, Rank: 0, At: at(second)},
		{Seq: 3, Kind: "waiting_to_join", Attempt: 2, Rank: 2, At: at(second + 9.5*took)}, {Seq: 4, Kind: "sync_error", Attempt: 2, Rank: 0, At: at(second + 11.5*took)},
	}
	s.workers = []run.Worker{{Attempt: 2, Rank: 0, NodeName: "a"}, {Attempt: 2, Rank: 1, NodeName: "b", EndedAt: at(second + 20.5*took)}, {Attempt: 2, Rank: 2, NodeName: "c"}}
	m := of(t, c, s, diLoCo(run.Running, 1000))
	if len(m.Rounds) != 25 || m.Lanes[1].Node != "b" || m.Rounds[10].Attempt != 2 || m.Rounds[10].Step != 300 || m.Rounds[10].Members != 2 {
		t.Fatalf("%d rounds, %+v", len(m.Rounds), m.Rounds[10])
	}
	if math.Abs(m.Rounds[10].Seconds()-took) > 1 {
		t.Errorf("the first round of an attempt takes %.1f s", m.Rounds[10].Seconds())
	}
	if spans := m.Lanes[2].Spans; len(spans) != 1 || spans[0].State != mesh.Recovering || math.Abs(spans[0].To-spans[0].From-took/2) > 1 {
		t.Errorf("worker 2 joins: %+v", spans)
	}
	retried := 0
	for _, r := range m.Rounds {
		retried += r.Retries
	}
	if retried != 1 {
		t.Errorf("%d retries", retried)
	}
}

func TestThePlanStandsBesideWhatHappened(t *testing.T) {
	t.Parallel()
	s, c := &asked{}, rounds.NewCache()
	s.report(1, 3, 1, 50)
	var reports []measure.Report
	for i, name := range []string{"a", "b", "c", "other"} {
		s.workers = append(s.workers, run.Worker{Attempt: 1, Rank: i, NodeID: name, NodeName: name})
		links := map[string]measure.Link{}
		for _, to := range []string{"a", "b", "c", "other"} {
			links[to] = measure.Link{Bandwidth: map[bool]float64{true: 1e6, false: 2e9}[name == "other" || to == "other"], BandwidthAt: time.Unix(began, 0)}
		}
		links["b"] = measure.Link{Bandwidth: 1e9, BandwidthAt: time.Unix(began, 0)}
		reports = append(reports, measure.Report{Node: measure.Participant{ID: name, Name: name}, Links: links})
	}
	s.workers = s.workers[:3] // the other node is not the run's
	r := diLoCo(run.Running, 2500)
	m := of(t, c, s, r)
	got := m.Report(r, &measure.Known{Matrix: measure.NewMatrix(reports)}, mesh.Page{Limit: 1})
	p := got.Plan
	if p == nil || p.Bandwidth != 1e9 || !strings.Contains(p.BandwidthOf, "to b, measured 2023-11-14") || math.Abs(p.SyncSeconds-8*float64(p.SyncBytes)/1e9) > 1e-6 || p.ComputeSeconds <= 0 {
		t.Fatalf("%+v", p)
	}
	if math.Abs(p.AllReduce-2) > 0.01 || math.Abs(p.Compute-58) > 0.5 || math.Abs(p.Wait-20.0/3) > 0.01 || math.Abs(p.ActualBandwidth-8*float64(p.SyncBytes)/2) > 1e3 {
		t.Errorf("actual: %+v", p)
	}
	if row := got.Rounds[0]; row.Bytes != p.SyncBytes || row.Bandwidth != p.ActualBandwidth {
		t.Errorf("the newest round: %+v", row)
	}
	// uint8 saves 1.5 of 60 s, and a worker less costs a third to save a sixth.
	if len(p.Options) != 1 || p.Options[0].Setting != "compression" || math.Abs(p.Options[0].Gain-60/58.5) > 0.001 || !strings.Contains(p.Options[0].Arithmetic, "2 s / 4 = 500 ms") {
		t.Errorf("%+v", p.Options)
	}
	if w := got.Workers[0]; w.Tokens != 50*50*128*1024 {
		t.Errorf("worker 0 has %d tokens", w.Tokens)
	}
	r.Config = "not = ["
	if bare := m.Report(r, nil, mesh.Page{Limit: 1}); bare.Plan != nil || bare.Rounds[0].Bytes != 0 || bare.Total != 50 {
		t.Errorf("of a configuration that cannot be read: %+v", bare)
	}
}

func TestRunsThatAreNotLookedAtAreForgotten(t *testing.T) {
	t.Parallel()
	s, c := &asked{}, rounds.NewCache()
	s.report(1, 3, 1, 40)
	r := diLoCo(run.Running, 2000)
	of(t, c, s, r)
	for i := range 200 {
		other := r
		other.ID = run.ID(fmt.Sprintf("r-1%09d", i))
		of(t, c, s, other)
	}
	s.told = 0
	if m := of(t, c, s, r); len(m.Rounds) != 40 || s.told == 0 {
		t.Errorf("%d rounds, of %d points", len(m.Rounds), s.told)
	}
	s.err, s.version = context.Canceled, s.version+1
	if _, err := c.Of(t.Context(), s, r); err == nil {
		t.Error("a store that fails has rounds")
	}
	s.err = nil
	if m := of(t, c, s, r); len(m.Rounds) != 40 {
		t.Errorf("%d rounds after a failure", len(m.Rounds))
	}
}
