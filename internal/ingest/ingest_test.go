package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/ingest"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an ingest between a cluster in memory and a real store.
type rig struct {
	patience time.Duration // of merging; 0 for the usual one
	t        *testing.T
	cluster  *nomadtest.Cluster
	store    *store.Store
	broken   *brokenStore
	hub      *feed.Hub
	id       run.ID
	child    string
	tailer   ingest.Tailer
	now      func() time.Time
	in       *ingest.Ingest
	stop     func()
	health   atomic.Value
}

// brokenStore fails commits on demand, as a full disk does.
type brokenStore struct {
	*store.Store
	broken atomic.Bool
}

func (b *brokenStore) Commit(ctx context.Context, batches []*store.Batch) error {
	if b.broken.Load() {
		return full()
	}
	return b.Store.Commit(ctx, batches)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{Twice: true})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, cluster: nomadtest.New(), store: s, broken: &brokenStore{Store: s}, hub: feed.NewHub(time.Now), id: "r-0000000001"}
	t.Cleanup(func() { // after start's own
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, _, err := s.CreateRun(t.Context(), run.Run{ID: r.id, State: run.Queued}, "", run.Event{RunID: r.id}); err != nil {
		t.Fatal(err)
	}
	if r.child, err = r.cluster.Dispatch(t.Context(), nomad.Dispatch{Parent: "p", Token: "t"}); err != nil {
		t.Fatal(err)
	}
	r.tailer, r.now = r.cluster, time.Now
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start runs a new Ingest over the same store, as a restarted console does.
func (r *rig) start() {
	r.in = ingest.New(ingest.Options{
		Tailer: r.tailer, Store: r.broken, Publisher: r.hub, Logger: slog.New(slog.DiscardHandler), Now: r.now, MergePatience: r.patience,
		Health: func(err error) { r.health.Store(fmt.Sprint(err)) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	in := r.in
	wg.Go(func() {
		if err := in.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	r.stop = func() { cancel(); wg.Wait() }
}

func (r *rig) worker(rank int) run.Worker {
	return run.Worker{AllocID: nomadtest.Alloc(r.child, rank), RunID: r.id, Attempt: 1, Rank: rank, State: run.WorkerRunning, Started: true}
}

func (r *rig) follow(ranks ...int) {
	for _, rank := range ranks {
		r.in.Follow(r.worker(rank))
	}
}

func (r *rig) end(ranks ...int) {
	for _, rank := range ranks {
		w := r.worker(rank)
		w.State = run.WorkerComplete
		r.in.Follow(w)
	}
	r.eventually("drained", func() bool {
		for _, rank := range ranks {
			if !r.in.Drained(nomadtest.Alloc(r.child, rank)) {
				return false
			}
		}
		return true
	})
}

func (r *rig) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("never came true: %s", what)
		}
	}
}

func (r *rig) points(metric string) []points.WorkerPoint {
	r.t.Helper()
	pts, err := storetest.AllPoints(r.t.Context(), r.store, r.id, metric)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range pts {
		pts[i].At = 0 // the time of receipt differs from one reading to the next
	}
	return pts
}

func (r *rig) lines(rank int) []string {
	r.t.Helper()
	var out []string
	after := run.LogPos(0)
	for {
		page, err := r.store.Logs(r.t.Context(), r.id, run.LogQuery{Rank: rank, After: after, Limit: 10000})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(page) == 0 {
			return out
		}
		for _, l := range page {
			out = append(out, l.Text)
		}
		after = page[len(page)-1].Pos
	}
}

func metric(step int, loss float64) string {
	return fmt.Sprintf(`COTRAIN {"v":1,"kind":"metrics","step":%d,"loss":%v,"tokens_per_second":%d}`+"\n", step, loss, 100+step)
}

func TestLinesBecomeSamplesEventsAndLogs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sub := r.hub.Subscribe(map[string]int64{feed.RunTopic(r.id): -1})
	defer sub.Close()
	r.follow(0)
	r.cluster.Print(r.child, 0, "hello\n"+metric(1, 3.5)+"12:00:00 [INFO] [Rank 0] Saved checkpoint to /c/step_1 in 0.2 seconds\nhalf a li")
	r.eventually("the sample is stored", func() bool { return len(r.points("loss")) == 1 })
	r.cluster.Print(r.child, 0, "ne\n12:00:01 [INFO] [Rank 0] step: 2, loss: 3.2500\n12:00:01 [INFO] [Rank 0] Sync psuedo-gradient in 1.25 seconds\nend")
	r.end(0)
	if d := cmp.Diff([]points.WorkerPoint{{Step: 1, Value: 3.5}, {Step: 2, Value: 3.25}}, r.points("loss")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]points.WorkerPoint{{Step: 2, Value: 1.25}}, r.points("sync_seconds")); d != "" {
		t.Error(d)
	}
	lines := r.lines(0)
	if len(lines) != 7 || lines[3] != "half a line" || lines[6] != "end" {
		t.Errorf("lines are %q", lines)
	}
	evs, err := r.store.Events(t.Context(), r.id, 1, 10)
	if err != nil || len(evs) != 1 || evs[0].Kind != "checkpoint_saved" || evs[0].Rank != 0 || evs[0].Attempt != 1 {
		t.Errorf("events are %+v, %v", evs, err)
	}
	saved, err := r.store.SavedCheckpoints(t.Context(), r.id)
	if d := cmp.Diff([]run.SavedCheckpoint{{Attempt: 1, Step: 1, Path: "/c/step_1"}}, saved); err != nil || d != "" {
		t.Error(err, d)
	}
	if err := r.in.Flush(t.Context(), r.id); err != nil {
		t.Fatal(err)
	}
	got, err := r.store.Run(t.Context(), r.id)
	if err != nil || got.Progress.Step != 2 || got.Progress.Loss != 3.25 || got.Progress.TokensPerSec != 101 {
		t.Errorf("progress is %+v, %v", got.Progress, err)
	}
	checkFeed(t, sub)
}

// checkFeed expects what was stored to have been told too.
func checkFeed(t *testing.T, sub *feed.Subscription) {
	t.Helper()
	ms, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, m := range ms {
		seen[m.Type]++
		if m.Type == feed.LogType {
			var l feed.Log
			if err := json.Unmarshal(m.Data, &l); err != nil {
				t.Fatal(err)
			}
			seen["lines"] += len(l.Lines)
		}
	}
	if seen["lines"] != 7 || seen[feed.EventType] != 1 || seen[feed.SamplesType] == 0 || seen[feed.State] == 0 {
		t.Errorf("viewers were told %v", seen)
	}
}

// TestARestartAtAnyMomentChangesNothing ends the ingest at random moments while three workers print, and compares what is
// stored with what was printed.
func TestARestartAtAnyMomentChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	rng := rand.New(rand.NewPCG(1, 2))
	want := map[int][]string{}
	wantPoints := 0
	for round := range 40 {
		r.follow(0, 1, 2)
		for rank := range 3 {
			var b strings.Builder
			for i := range rng.IntN(20) {
				step := round*20 + i
				line := metric(step, float64(rank)+1/float64(step+1))
				if rng.IntN(3) == 0 {
					line = fmt.Sprintf("noise %d %s\n", step, strings.Repeat("x", rng.IntN(3000)))
				} else {
					wantPoints++
				}
				b.WriteString(line)
				want[rank] = append(want[rank], strings.TrimSuffix(line, "\n"))
			}
			for text := b.String(); text != ""; { // in pieces that end anywhere
				n := min(len(text), 1+rng.IntN(2000))
				r.cluster.Print(r.child, rank, text[:n])
				text = text[n:]
			}
		}
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Microsecond) // a random moment, not a wait for something
		r.stop()
		r.start()
	}
	r.follow(0, 1, 2)
	r.end(0, 1, 2)
	for rank := range 3 {
		if d := cmp.Diff(want[rank], r.lines(rank)); d != "" {
			t.Fatalf("worker %d: %s", rank, d)
		}
	}
	if got := len(r.points("loss")); got != wantPoints {
		t.Errorf("%d points are stored, %d were printed", got, wantPoints)
	}
}

// TestTheHeadlineIsOfTheWorkersThatStillTakePart loses one of two workers at step 10. The headline at step 1000 is the other's.
func TestTheHeadlineIsOfTheWorkersThatStillTakePart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.place(map[int]run.WorkerState{0: run.WorkerRunning, 1: run.WorkerRunning})
	sub := r.hub.Subscribe(map[string]int64{feed.RunTopic(r.id): -1})
	defer sub.Close()
	r.follow(0, 1)
	report := func(rank int, loss float64, from, to int) {
		var b strings.Builder
		for step := from; step <= to; step++ {
			fmt.Fprintf(&b, `COTRAIN {"v":1,"kind":"metrics","step":%d,"loss":%v,"tokens_per_second":%d}`+"\n", step, loss, 1000*(2-rank))
		}
		r.cluster.Print(r.child, rank, b.String())
	}
	report(0, 8, 1, 12)
	report(1, 7.86, 1, 10)
	r.headline("both at step 10", run.Progress{Step: 10, Loss: 7.93, HasLoss: true, TokensPerSec: 3000})
	r.place(map[int]run.WorkerState{0: run.WorkerRunning, 1: run.WorkerLost})
	report(0, 2, 13, 1000)
	r.headline("one at step 1000", run.Progress{Step: 1000, Loss: 2, HasLoss: true, TokensPerSec: 2000})
	r.place(map[int]run.WorkerState{0: run.WorkerComplete, 1: run.WorkerLost})
	r.end(0, 1)
	r.headline("ended", run.Progress{Step: 1000, Loss: 2, HasLoss: true, TokensPerSec: 2000})
	if got := chartOf(t, sub); len(got) != 1000 || got[10] != 7.93 || got[11] != 8 || got[1000] != 2 {
		t.Errorf("the chart of a viewer has %d steps: %v, %v, %v", len(got), got[10], got[11], got[1000])
	}
}

// place stores the workers of the run's first attempt.
func (r *rig) place(states map[int]run.WorkerState) {
	r.t.Helper()
	_, err := r.store.Update(r.t.Context(), r.id, func(u *store.Update) error {
		if u.Attempt.Number == 0 {
			u.Attempt, u.Run.Attempt = run.Attempt{RunID: r.id, Number: 1, JobID: r.child}, 1
		}
		u.Workers = nil
		for rank, state := range states {
			w := r.worker(rank)
			w.State = state
			u.Workers = append(u.Workers, w)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// headline waits for the stored headline to be as it should.
func (r *rig) headline(when string, want run.Progress) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("%s: the headline is %+v", when, want), func() bool {
		one, err := r.store.Run(r.t.Context(), r.id)
		if err != nil {
			r.t.Fatal(err)
		}
		got := one.Progress
		got.UpdatedAt, got.Loss = time.Time{}, math.Round(got.Loss*1e9)/1e9
		return got == want
	})
}

// chartOf is the mean loss by step that a viewer was told.
func chartOf(t *testing.T, sub *feed.Subscription) map[int64]float64 {
	t.Helper()
	ms, err := sub.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]float64{}
	for _, m := range ms {
		if m.Type != feed.SamplesType {
			continue
		}
		var s feed.Samples
		if err := json.Unmarshal(m.Data, &s); err != nil {
			t.Fatal(err)
		}
		for i, step := range s.Steps {
			if v := s.Series["loss"]["mean"][i]; v != nil {
				out[step] = math.Round(*v*1e9) / 1e9
			}
		}
	}
	return out
}

func TestCurvesThatAnEarlierConsoleLeftBehindAreBroughtUpToDate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stop()
	err := r.store.Commit(t.Context(), []*store.Batch{{
		RunID: r.id, AllocID: "gone", Stream: "stdout", Attempt: 1, At: time.Now(), To: store.Cursor{File: "f", Offset: 1, Done: true},
		Points: []points.Point{{Metric: "loss", Step: 3, Value: 2}, {Metric: "loss", Step: 9000, Value: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	r.start() // and nobody follows anything
	r.eventually("the curve is whole", func() bool {
		curve, err := r.store.Curve(t.Context(), r.id, "loss", 0)
		return err == nil && len(curve) == 2
	})
}

func TestAStoreThatCannotWriteLosesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.follow(0)
	r.cluster.Print(r.child, 0, metric(1, 1))
	r.eventually("the first is stored", func() bool { return len(r.points("loss")) == 1 })
	r.broken.broken.Store(true)
	r.cluster.Print(r.child, 0, metric(2, 1)+metric(3, 1))
	r.eventually("the trouble is told", func() bool { s, _ := r.health.Load().(string); return strings.Contains(s, "is full") })
	r.broken.broken.Store(false)
	r.end(0)
	if got := len(r.points("loss")); got != 3 {
		t.Errorf("%d points", got)
	}
	if s, _ := r.health.Load().(string); s != "<nil>" {
		t.Errorf("health is still %s", s)
	}
}

func TestAnUnreachableClusterIsCaughtUpWith(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetDown(true)
	r.follow(0)
	r.cluster.Print(r.child, 0, metric(1, 1))
	r.eventually("it is tried while Nomad is away", func() bool { return r.cluster.Calls("TailLog") > 0 })
	r.cluster.SetDown(false)
	r.end(0)
	if got := len(r.points("loss")); got != 1 {
		t.Errorf("%d points", got)
	}
}

// TestBytesThatComeJustAfterTheEndAreNotLost is what a real agent does: it tells of a task's end while it still copies the
// last of what the task printed.
func TestBytesThatComeJustAfterTheEndAreNotLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.follow(0)
	r.cluster.Print(r.child, 0, metric(1, 2))
	r.eventually("the first is stored", func() bool { return len(r.points("loss")) == 1 })
	w := r.worker(0)
	w.State = run.WorkerComplete
	r.in.Follow(w)
	r.cluster.Print(r.child, 0, metric(2, 1))
	r.end(0)
	if got := len(r.points("loss")); got != 2 {
		t.Errorf("%d points", got)
	}
}

// TestEachStepOfARewrittenLineCounts prints steps with carriage returns alone, more of them than a line is long, and a bar.
func TestEachStepOfARewrittenLineCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.follow(0)
	r.cluster.Print(r.child, 0, metric(1, 9))
	r.eventually("the first is stored", func() bool { return len(r.points("loss")) == 1 })
	const steps = 3000 // 140 KiB
	var text strings.Builder
	for step := 2; step <= steps; step++ {
		fmt.Fprintf(&text, "03:22:58 [INFO] [Rank 0] step: %d, loss: 3.1\r", step)
	}
	text.WriteString("\n\rEpoch 0: 22% | step: 7\rEpoch 0: 24% | step: 8\r\n")
	r.cluster.Print(r.child, 0, text.String())
	r.end(0)
	pts := r.points("loss")
	missing := steps - len(pts)
	if most := 2 * text.Len() / (64 << 10); missing < 0 || missing > most { // those that a piece ends in
		t.Errorf("%d points of %d, at most %d may be missing", len(pts), steps, most)
	}
	if pts[1].Step != 2 || pts[1].Value != 3.1 || pts[len(pts)-1].Step != steps {
		t.Errorf("they are %+v ... %+v", pts[1], pts[len(pts)-1])
	}
}

func TestHostileOutputIsStoredAndBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	long := strings.Repeat("y", 1<<20)
	var b strings.Builder
	b.WriteString("\x00\x01\x02\xff\xfe\x1b[31m binary \r\n")
	b.WriteString(long + "\n")
	for i := range 100_000 {
		fmt.Fprintf(&b, "flood %d\n", i)
	}
	b.WriteString(strings.Repeat("\n", 70_000))
	b.WriteString(strings.Repeat("12:00:00 [INFO] [Rank 0] Saved checkpoint to /c/step_1 in 0.2 seconds\n", 3000))
	b.WriteString("12:00:00 [INFO] [Rank 0] Saved checkpoint to /c/step_9 in 0.2 seconds\n") // no event any more
	for i := range points.MaxMetrics + 200 {
		fmt.Fprintf(&b, `COTRAIN {"v":1,"kind":"metrics","step":1,"name_%d":1}`+"\n", i)
	}
	b.WriteString(`COTRAIN {"v":1,"kind":"metrics","step":9007199254740000,"loss":1}` + "\n")
	b.WriteString(metric(5, 2))
	r.follow(0)
	r.cluster.Print(r.child, 0, b.String())
	r.end(0)
	lines := r.lines(0)
	if got, want := strings.Join(lines, "\n"), strings.ToValidUTF8(strings.ReplaceAll(b.String(), "\r\n", "\n"), "\uFFFD"); len(strings.ReplaceAll(got, "\n", "")) != len(strings.ReplaceAll(want, "\n", "")) {
		t.Errorf("%d bytes of lines are stored, %d were printed", len(got), len(want))
	}
	evs, err := r.store.Events(t.Context(), r.id, 1, 10000)
	kinds := map[string]int{}
	for _, ev := range evs {
		kinds[ev.Kind]++
	}
	if err != nil || len(evs) != 2001 || kinds["events_cut"] != 1 || kinds["metrics_dropped"] != 1 {
		t.Errorf("%d events: %v, %v", len(evs), kinds, err)
	}
	if saved, err := r.store.SavedCheckpoints(t.Context(), r.id); err != nil || len(saved) != 2 || saved[0].Step != 9 {
		t.Errorf("checkpoints %+v, %v", saved, err)
	}
	names, err := r.store.Metrics(t.Context(), r.id)
	if err != nil || len(names) > points.MaxMetrics+len(points.CurveMetrics()) {
		t.Errorf("%d metrics, %v", len(names), err)
	}
}

// breakingTailer prints a metric of another name each time that its stream is opened, and breaks.
type breakingTailer struct {
	mu     sync.Mutex
	opened []time.Time
}

func (b *breakingTailer) TailLog(ctx context.Context, _, stream string, from nomad.Cursor, _ bool, fn func(nomad.LogChunk) error) error {
	if stream != "stdout" {
		<-ctx.Done()
		return ctx.Err()
	}
	b.mu.Lock()
	n := len(b.opened)
	b.opened = append(b.opened, time.Now())
	b.mu.Unlock()
	line := fmt.Sprintf(`COTRAIN {"v":1,"kind":"metrics","step":1,"name_%d":1}`+"\n", n)
	if err := fn(nomad.LogChunk{File: nomadtest.File, Offset: from.Offset, Data: []byte(line)}); err != nil {
		return err
	}
	return fmt.Errorf("the stream broke: %w", fault.ErrUnavailable)
}

// TestAStreamThatWasGoodIsOpenedAgainSoon also shows that the bound on metrics does not begin again with each opening.
func TestAStreamThatWasGoodIsOpenedAgainSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.stop()
		seen := &store.Batch{RunID: r.id, AllocID: "earlier", Stream: "stdout", To: store.Cursor{File: nomadtest.File, Offset: 1}}
		for i := range points.MaxMetrics - 500 {
			seen.Points = append(seen.Points, points.Point{Metric: fmt.Sprint("earlier_", i), Step: 1})
		}
		if err := r.store.Commit(t.Context(), []*store.Batch{seen}); err != nil {
			t.Fatal(err)
		}
		b := &breakingTailer{}
		r.tailer = b
		r.start()
		r.follow(0)
		time.Sleep(90 * time.Second) // of the bubble's clock
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.opened) < 550 {
			t.Errorf("it was opened %d times", len(b.opened))
		}
		for i := range len(b.opened) - 1 {
			if pause := b.opened[i+1].Sub(b.opened[i]); pause > 200*time.Millisecond {
				t.Fatalf("after %d openings there is a pause of %v", i+1, pause)
			}
		}
		if names, err := r.store.Metrics(t.Context(), r.id); err != nil || len(names) != points.MaxMetrics {
			t.Errorf("%d metrics, %v", len(names), err)
		}
	})
}

// goneTailer is a node that has removed the allocation.
type goneTailer struct{}

func (goneTailer) TailLog(context.Context, string, string, nomad.Cursor, bool, func(nomad.LogChunk) error) error {
	return fmt.Errorf("no such allocation: %w", fault.ErrNotFound)
}

func TestALogThatIsGoneEndsTheStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.stop()
	r.tailer = goneTailer{}
	r.start()
	r.end(0)
}
