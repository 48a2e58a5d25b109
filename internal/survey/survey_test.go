package survey_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/survey"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// cluster is a Nomad whose nodes print what a test wants.
type cluster struct {
	mu         sync.Mutex
	nodes      []run.Node
	err        error // of starting
	away       bool
	refused    int      // calls while it was away
	dispatched []string // measurements, in order
	probes     []nomad.Probe
	logs       map[string]string // by allocation
	purged     int
	unplaced   string
}

func (c *cluster) with(fn func()) { c.mu.Lock(); defer c.mu.Unlock(); fn() }

func (c *cluster) call() error {
	if c.away {
		c.refused++
		return fault.ErrNomadUnreachable
	}
	return nil
}

func (c *cluster) Nodes(context.Context) ([]run.Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes, c.call()
}

func (c *cluster) Measure(_ context.Context, m measure.Measurement) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.away {
		return "", errors.Join(c.err, c.call())
	}
	c.dispatched = append(c.dispatched, m.ID+" "+m.Token)
	return "cotrain-measure/dispatch-1", nil
}

func (c *cluster) Probes(context.Context, string) ([]nomad.Probe, nomad.JobState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]nomad.Probe(nil), c.probes...), nomad.JobState{Found: c.purged == 0}, c.call()
}

func (c *cluster) ProbeLog(_ context.Context, alloc string, _ int) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text, ok := c.logs[alloc]
	if !ok {
		return nil, nomad.ErrNotStarted
	}
	return []byte(text), c.call()
}

func (c *cluster) Unplaced(context.Context, string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unplaced, c.call()
}

func (c *cluster) Purge(context.Context, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.purged++
	return c.call()
}

func line(l measure.Line) string {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return measure.Prefix + string(b) + "\n"
}

// says is what a node prints of its way to another, and that it is done.
func says(to string, bits float64) string {
	return line(measure.Line{Kind: measure.LinkLine, To: to, Link: &measure.Link{RoundTrip: time.Millisecond}}) +
		line(measure.Line{Kind: measure.BandwidthLine, To: to, Link: &measure.Link{Bandwidth: bits}}) + line(measure.Line{Kind: measure.DoneLine})
}

type world struct {
	t       *testing.T
	cluster *cluster
	store   *store.Store
	*survey.Survey
	mu  sync.Mutex
	now time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &world{t: t, store: s, now: time.Unix(1_800_000_000, 0).UTC(), cluster: &cluster{logs: map[string]string{}, nodes: []run.Node{
		{ID: "aaaaaaaa-1", Name: "a", Datacenter: "ams", Status: "ready", Eligible: true, GPUs: []run.GPU{{ID: "x", Model: "nvidia/gpu/A100"}}},
		{ID: "bbbbbbbb-1", Name: "b", Datacenter: "ams", Status: "ready", Eligible: true},
		{ID: "cccccccc-1", Name: "c", Datacenter: "fra", Status: "down", Eligible: true},
	}}}
	w.restart()
	return w
}

// restart is another process of the console.
func (w *world) restart() {
	w.Survey = survey.New(survey.Options{
		Cluster: w.cluster, Store: w.store, Logger: slog.New(slog.DiscardHandler), Poll: time.Millisecond,
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	})
}

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// run runs the survey until the function that it returns is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		if err := w.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return func() { cancel(); all.Wait() }
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not in time: %s; %+v", what, w.Known().Last)
		}
	}
}

func (w *world) ended() bool { return !w.Known().Last.State.Active() }

// places has Nomad place both nodes, which end at once.
func (w *world) places() {
	w.cluster.with(func() {
		w.cluster.probes = []nomad.Probe{{AllocID: "1", NodeID: "aaaaaaaa-1", Terminal: true}, {AllocID: "2", NodeID: "bbbbbbbb-1", Terminal: true}}
	})
}

func (w *world) measure(c measure.Choice) measure.Measurement {
	w.t.Helper()
	m, err := w.Measure(w.t.Context(), "ann", c)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func TestAMeasurementIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.run()()
	w.cluster.logs = map[string]string{"1": "hello\n" + says("bbbbbbbb-1", 7) + says("stranger", 9), "2": says("aaaaaaaa-1", 8)}
	m := w.measure(measure.Choice{})
	if len(m.Nodes) != 2 || m.Nodes[0].GPUs[0] != "nvidia/gpu/A100" || m.Token == "" {
		t.Errorf("chosen: %+v", m)
	}
	if _, err := w.Measure(t.Context(), "bob", measure.Choice{}); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("a second one: %v", err)
	}
	w.until("it runs", func() bool { return w.Known().Last.State == measure.Running })
	w.places()
	w.until("it ends", w.ended)
	now := w.Known()
	a := now.Matrix.Link(0, 1)
	if now.Last.State != measure.Done || now.Last.Problem != "" || a == nil || a.Bandwidth != 7 || !a.At.Equal(m.StartedAt) || len(now.Problems) > 0 || w.cluster.purged != 1 {
		t.Errorf("%+v, %+v, %+v", now.Last, a, now.Problems)
	}
	if len(now.Matrix.Reports) != 2 || !now.Last.Nodes[0].Reported {
		t.Errorf("%+v", now.Matrix.Reports)
	}
	w.restart()
	defer w.run()()
	w.until("the next process knows it", func() bool { l := w.Known().Matrix; return len(l.Reports) == 2 && l.Link(1, 0).Bandwidth == 8 })
	w.measure(measure.Choice{Site: "ams"})
}

func TestAMeasurementSurvivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.measure(measure.Choice{}) // nobody has dispatched it
	w.restart()
	stop := w.run()
	w.until("it runs", func() bool { return w.Known().Last.State == measure.Running })
	stop()
	w.restart()
	if err := w.Load(t.Context()); err != nil || w.Known().Last.ID != m.ID {
		t.Errorf("before it runs, it knows %+v, %v", w.Known().Last, err)
	}
	defer w.run()()
	w.cluster.with(func() { w.cluster.logs = map[string]string{"1": says("bbbbbbbb-1", 7), "2": says("aaaaaaaa-1", 8)} })
	w.places()
	w.until("it ends", func() bool { return w.Known().Last.State == measure.Done })
	if d := cmp.Diff([]string{m.ID + " " + m.Token}, w.cluster.dispatched); d != "" {
		t.Error(d)
	}
}

func TestWhatGoesWrongIsToldOfTheNode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		do       func(w *world)
		state    measure.State
		problem  string
		problems []string
	}{
		{"Nomad refuses the job", func(w *world) { w.cluster.err = fault.New(fault.ErrNomadRefused, "No such driver.", "Install it.") },
			measure.Failed, "No such driver. Install it.", nil},
		{"one is not placed", func(w *world) {
			w.cluster.unplaced = "missing drivers"
			w.cluster.probes = []nomad.Probe{{AllocID: "1", NodeID: "aaaaaaaa-1", Terminal: true}}
			w.cluster.logs["1"] = says("bbbbbbbb-1", 7)
			w.pass(time.Minute)
		}, measure.Done, "", []string{"no-report: b reported nothing: Nomad did not place it there: missing drivers."}},
		{"one has no binary, another one dies", func(w *world) {
			w.places()
			w.cluster.probes[0].Detail = "Driver Failure: cotrain: not found"
			w.cluster.probes[1].Detail = "Exit Code: 137"
			w.cluster.logs["2"] = line(measure.Line{Kind: measure.FactsLine, Facts: &measure.Facts{MemoryTotal: 1}})
		}, measure.Done, "", []string{"no-report: a reported nothing: Driver Failure: cotrain: not found.", "no-report: b did not finish: Exit Code: 137."}},
		{"none prints anything", func(w *world) {
			w.places()
			w.cluster.logs = map[string]string{"1": "hm\n", "2": measure.Prefix + "{}\n"}
		},
			measure.Failed, "No node reported anything.", []string{"no-report: a reported nothing: it did not say why.", "no-report: b reported nothing: it did not say why."}},
		{"it takes too long", func(w *world) {
			w.places()
			w.cluster.probes[1].Terminal = false
			w.cluster.logs["1"] = says("bbbbbbbb-1", 7)
			w.pass(24 * time.Hour)
		}, measure.Done, "It took too long and was ended.", []string{"no-report: b reported nothing: it did not say why."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.measure(measure.Choice{})
			c.do(w)
			defer w.run()()
			w.until("it ends", func() bool { return w.ended() && w.Known().Last.ID != "" })
			now := w.Known()
			var got []string
			for _, p := range now.Problems {
				got = append(got, p.Kind+": "+p.What)
			}
			if d := cmp.Diff(c.problems, got); d != "" || now.Last.State != c.state || now.Last.Problem != c.problem {
				t.Errorf("%s, %q %s", now.Last.State, now.Last.Problem, d)
			}
		})
	}
}

func TestNomadAwayEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.measure(measure.Choice{})
	w.cluster.away = true
	w.pass(48 * time.Hour)
	stop := w.run()
	w.until("it gives up what was never sent", w.ended)
	stop()
	if now := w.Known().Last; now.State != measure.Failed || now.Problem == "" {
		t.Errorf("%+v", now)
	}
	w.cluster.with(func() { w.cluster.away = false })
	w.restart()
	defer w.run()()
	w.measure(measure.Choice{})
	w.until("the next one runs", func() bool { return w.Known().Last.State == measure.Running })
	w.cluster.with(func() { w.cluster.away = true })
	w.places()
	w.pass(48 * time.Hour)
	refused := func() (n int) { w.cluster.with(func() { n = w.cluster.refused }); return n }
	before := refused()
	w.until("it has looked in vain, late as it is", func() bool { return refused() >= before+3 })
	if w.ended() {
		t.Error("its job is left to itself")
	}
	w.cluster.with(func() { w.cluster.away = false; w.cluster.logs = map[string]string{"1": says("bbbbbbbb-1", 7)} })
	w.until("it ends when Nomad is back", w.ended)
	if w.Known().Last.State != measure.Done {
		t.Errorf("%+v", w.Known().Last)
	}
}

func TestOnlyNodesThatTakeWorkAreMeasured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		choice measure.Choice
		want   string
	}{
		"unknown":             {measure.Choice{Nodes: []string{"x"}}, "is no node"},
		"down":                {measure.Choice{Nodes: []string{"a", "c"}}, "takes no work"},
		"of another site":     {measure.Choice{Nodes: []string{"a"}, Site: "fra"}, "is not in site fra"},
		"a site without any":  {measure.Choice{Site: "fra"}, "has no node"},
		"too short for an ID": {measure.Choice{Nodes: []string{"aaaaaaa"}}, "is no node"},
	} {
		_, err := w.Measure(t.Context(), "ann", c.choice)
		var fields run.FieldErrors
		if !errors.As(err, &fields) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := w.measure(measure.Choice{Nodes: []string{"aaaaaaaa", "a", "b"}})
	if len(m.Nodes) != 2 {
		t.Errorf("%+v", m.Nodes)
	}
}

func TestAMeasurementIsStoppedWithWhatThereIsByThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stop := w.run()
	w.cluster.with(func() {
		w.cluster.probes = []nomad.Probe{{AllocID: "1", NodeID: "aaaaaaaa-1", Terminal: true}, {AllocID: "2", NodeID: "bbbbbbbb-1"}}
		w.cluster.logs = map[string]string{"1": says("bbbbbbbb-1", 7), "2": "hello\n"}
	})
	m := w.measure(measure.Choice{})
	w.until("it runs", func() bool { return w.Known().Last.State == measure.Running })
	stop() // a console that is killed before it sees that it is to stop
	if _, err := w.StopMeasurement(t.Context(), "bob", m.ID); err != nil {
		t.Fatal(err)
	}
	w.restart()
	defer w.run()()
	w.until("it ends", func() bool { return w.Known().Last.ID == m.ID && w.ended() })
	last := w.Known().Last
	if last.State != measure.Done || last.StoppedBy != "bob" || last.Problem != "Stopped by bob." || last.Nodes[0].Problem != "" || last.Nodes[1].Problem != "the measurement was stopped first" || w.cluster.purged != 1 {
		t.Errorf("%+v, purged %d times", last, w.cluster.purged)
	}
	if _, err := w.StopMeasurement(t.Context(), "bob", m.ID); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("again: %v", err)
	}
	if _, err := w.StopMeasurement(t.Context(), "bob", "m-none"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("one that there is not: %v", err)
	}
}

func TestARunningMeasurementIsStoppedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	defer w.run()()
	m := w.measure(measure.Choice{})
	if _, err := w.StopMeasurement(t.Context(), "bob", m.ID); err != nil { // perhaps before Nomad has it
		t.Fatal(err)
	}
	w.until("it ends", w.ended)
	if last := w.Known().Last; last.State != measure.Failed || last.Problem != "Stopped by bob." || w.cluster.purged != 1 {
		t.Errorf("%+v", last)
	}
}
