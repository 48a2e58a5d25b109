package rhythm_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/rhythm/rhythmtest"
)

func TestSimulatedHangsAreSeenAndFewAlarmsAreFalse(t *testing.T) {
	t.Parallel()
	const runs = 400
	h := rhythmtest.SimulateHangs(runs, 7)
	t.Log(h)
	if h.FalseRuns > runs/25 {
		t.Errorf("%d of %d runs had a false alarm", h.FalseRuns, runs)
	}
	for kind, n := range h.ByKind {
		if kind != "pauses" && n > runs/80 { // those have one step in a hundred that takes up to sixty times as long
			t.Errorf("%d false alarms of runs with %s", n, kind)
		}
	}
	if got := len(h.Delays); got != runs {
		t.Errorf("%d of %d hangs were seen", got, runs)
	}
	if got := h.Quick[len(h.Quick)/2]; got > time.Minute {
		t.Errorf("half of the hangs of quick runs were seen after more than %v", got)
	}
	if got := h.Quantile(.5); got > 5*time.Minute {
		t.Errorf("half of all hangs were seen after more than %v", got)
	}
}

func TestSimulatedTroublesOfLosses(t *testing.T) {
	t.Parallel()
	l := rhythmtest.SimulateLosses(200, 7)
	t.Log(l)
	for trouble, most := range map[rhythm.Trouble]int{rhythm.NotFinite: 0, rhythm.Diverged: 2, rhythm.Plateau: 8} {
		if l.False[trouble] > most {
			t.Errorf("%d false alarms of trouble %d", l.False[trouble], trouble)
		}
		if missed, seen := l.Missed[trouble], len(l.Delays[trouble]); missed > (missed+seen)/5 {
			t.Errorf("%d of %d of trouble %d were missed", missed, missed+seen, trouble)
		}
	}
	if d := l.Delays[rhythm.NotFinite]; len(d) != 50 || d[len(d)-1] != 2 {
		t.Errorf("NaN was seen %d times, at last after %v losses", len(d), d)
	}
}

func TestSimulatedStragglersAreNamed(t *testing.T) {
	t.Parallel()
	s := rhythmtest.SimulateStragglers(300, 7)
	t.Log(s)
	if s.False > s.Looks/500 || s.Missed > 0 {
		t.Errorf("%d of %d looks named a worker that was not slow, and %d slow ones were not named", s.False, s.Looks, s.Missed)
	}
}

// epoch is when the workers of these tests begin.
var epoch = time.Unix(1_700_000_000, 0)

// steady reports steps from..to, one a second, with a sync of ten seconds after each that sync divides.
func steady(w *rhythm.Worker, at time.Time, from, to, sync int64) time.Time {
	for step := from; step <= to; step++ {
		at = at.Add(time.Second)
		if sync > 0 && step > 1 && (step-1)%sync == 0 {
			at = at.Add(10 * time.Second)
			w.Mark(rhythm.Sync)
		}
		w.Report(step, at, 0)
	}
	return at
}

func TestTheLimitIsThatOfWhatIsDue(t *testing.T) {
	t.Parallel()
	w := rhythm.NewWorker(rhythm.Expected{Sync: 50}, epoch)
	is := func(when string, least, most time.Duration, phases rhythm.Mark) {
		t.Helper()
		if got, due := w.Limit(); got < least || got > most || due != phases {
			t.Errorf("%s: the limit is %v for phases %b, want %v to %v for %b", when, got, due, least, most, phases)
		}
	}
	is("before the first step", rhythm.StartLimit, rhythm.StartLimit, 0)
	at := steady(w, epoch.Add(5*time.Minute), 1, 3, 50)
	is("after three steps", rhythm.Unseen, rhythm.Unseen, 0)
	at = steady(w, at, 4, 50, 50)
	is("before the first sync", rhythm.Unseen+rhythm.Floor, rhythm.Unseen+rhythm.Floor, rhythm.Sync)
	at = steady(w, at, 51, 220, 50)
	is("in the midst of steps", rhythm.Floor, rhythm.Floor, 0)
	at = steady(w, at, 221, 250, 50)
	is("at a sync", 40*time.Second, 60*time.Second, rhythm.Sync)
	w.Restart(at)
	is("once it began again", rhythm.StartLimit, rhythm.StartLimit, 0)
}

func TestAPauseThatPassedIsAllowedAgain(t *testing.T) {
	t.Parallel()
	w := rhythm.NewWorker(rhythm.Expected{}, epoch)
	at := steady(w, epoch, 1, 300, 0)
	at = at.Add(5 * time.Minute)
	w.Report(301, at, 0)
	if limit, _ := w.Limit(); limit < 10*time.Minute {
		t.Errorf("after a pause of 5 minutes the limit is %v", limit)
	}
	steady(w, at, 302, 3000, 0)
	if limit, _ := w.Limit(); limit > time.Minute {
		t.Errorf("2700 seconds later the limit is still %v", limit)
	}
}

func TestAnExcusedIntervalIsNotLearned(t *testing.T) {
	t.Parallel()
	w := rhythm.NewWorker(rhythm.Expected{}, epoch)
	at := steady(w, epoch, 1, 300, 0).Add(time.Hour) // nobody read its log
	w.Excuse(at)
	if got := w.At(); !got.Equal(at) {
		t.Errorf("it waits since %v, want %v", got, at)
	}
	w.Report(301, at.Add(time.Second), 0)
	if limit, _ := w.Limit(); limit != rhythm.Floor {
		t.Errorf("the limit is %v", limit)
	}
}

func TestTheWorkersOwnClockCountsWhereItTells(t *testing.T) {
	t.Parallel()
	w := rhythm.NewWorker(rhythm.Expected{}, epoch)
	for step := int64(1); step <= 100; step++ { // a backlog is read at once
		w.Report(step, epoch.Add(time.Duration(step)*time.Millisecond), time.Minute)
	}
	if limit, _ := w.Limit(); limit < 5*time.Minute {
		t.Errorf("with a step a minute the limit is %v", limit)
	}
}

func TestWhoHangs(t *testing.T) {
	t.Parallel()
	make4 := func(upTo ...int64) (ws []*rhythm.Worker, end time.Time) {
		for _, to := range upTo {
			w := rhythm.NewWorker(rhythm.Expected{Sync: 50}, epoch)
			if at := steady(w, epoch, 1, to, 50); at.After(end) {
				end = at
			}
			ws = append(ws, w)
		}
		return ws, end
	}
	for _, tc := range []struct {
		name    string
		upTo    []int64
		after   time.Duration
		found   bool
		rank    int
		step    int64
		waiting []int
	}{
		{"nobody", []int64{240, 240, 240}, 10 * time.Second, false, 0, 0, nil},
		{"one in its steps, the others at the sync", []int64{250, 231, 250}, 2 * time.Minute, true, 1, 231, []int{0, 2}},
		{"all in the sync", []int64{250, 250, 250}, 3 * time.Minute, true, -1, 250, nil},
		{"the only worker", []int64{240}, time.Minute, true, 0, 240, nil},
	} {
		ws, end := make4(tc.upTo...)
		h, found := rhythm.FindHang(ws, end.Add(tc.after))
		if found != tc.found || found && (h.Rank != tc.rank || h.Step != tc.step || !slices.Equal(h.Waiting, tc.waiting)) {
			t.Errorf("%s: %+v, %v", tc.name, h, found)
		}
	}
	// A worker that is far behind and goes on holds up the others, which do not hang.
	ws, end := make4(250, 200)
	end = end.Add(2 * time.Minute)
	ws[1].Excuse(end)
	if h, found := rhythm.FindHang(ws, end); found {
		t.Errorf("one that waits for a slow one is said to hang: %+v", h)
	}
	if _, found := rhythm.FindHang([]*rhythm.Worker{nil, nil}, end); found {
		t.Error("workers that there are not hang")
	}
}

func TestASlowWorkerStaysSlowUntilItIsClearlyNot(t *testing.T) {
	t.Parallel()
	speeds := func(seconds ...float64) []*rhythm.Worker {
		var out []*rhythm.Worker
		for _, s := range seconds {
			w, at := rhythm.NewWorker(rhythm.Expected{}, epoch), epoch
			for step := int64(1); step <= 100; step++ {
				at = at.Add(time.Duration(s * float64(time.Second)))
				w.Report(step, at, 0)
			}
			out = append(out, w)
		}
		return out
	}
	no, yes := func(int) bool { return false }, func(rank int) bool { return rank == 2 }
	for _, tc := range []struct {
		name  string
		third float64
		was   func(int) bool
		want  int
	}{{"twice as slow", 2, no, 1}, {"a third slower", 1.35, no, 0}, {"a third slower, and was slow", 1.35, yes, 1}, {"a tenth slower, and was slow", 1.1, yes, 0}} {
		if got := rhythm.FindStragglers(speeds(1, 1, tc.third, 1), tc.was); len(got) != tc.want || tc.want == 1 && (got[0].Rank != 2 || math.Abs(got[0].Others-1) > 1e-9) {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
	if got := rhythm.FindStragglers(speeds(5), no); got != nil {
		t.Errorf("a worker without others is a straggler: %+v", got)
	}
}

func TestASpikeThatPassesIsNoDivergence(t *testing.T) {
	t.Parallel()
	l := rhythm.NewLoss(10_000, 1)
	for step := int64(1); step < 2000; step++ {
		loss := 3 + 0.05*math.Sin(float64(step)) - float64(step)/2000
		if step%500 < 5 {
			loss += 4
		}
		if step%700 == 0 {
			loss = math.NaN() // one
		}
		if trouble, _ := l.Add(step, loss); trouble != rhythm.Fine {
			t.Fatalf("step %d: trouble %d", step, trouble)
		}
	}
	for step := int64(2000); ; step++ {
		trouble, since := l.Add(step, 4)
		if trouble == rhythm.Diverged && since == 2000 {
			break
		}
		if trouble != rhythm.Fine || step > 2020 {
			t.Fatalf("step %d: trouble %d since %d", step, trouble, since)
		}
	}
	for step := int64(2050); step < 2100; step++ {
		if trouble, _ := l.Add(step, 400); trouble != rhythm.Fine {
			t.Fatalf("it is told twice, at step %d", step)
		}
	}
}

func TestAnotherAttemptIsComparedWithTheEarlierOnes(t *testing.T) {
	t.Parallel()
	l := rhythm.NewLoss(100_000, 1)
	feed := func(from, to int64, loss func(int64) float64) (seen rhythm.Trouble, since int64) {
		for step := from; step <= to; step++ {
			if trouble, at := l.Add(step, loss(step)); trouble != rhythm.Fine {
				seen, since = trouble, at
			}
		}
		return seen, since
	}
	even := func(step int64) float64 { return 3 + float64(step%7)/100 }
	rising := func(from int64) func(int64) float64 {
		return func(step int64) float64 { return even(step) + float64(max(0, step-from+1)) }
	}
	feed(1, 100, even)
	if seen, since := feed(101, 121, rising(105)); seen != rhythm.Diverged || since != 105 {
		t.Errorf("trouble %d since %d", seen, since)
	}
	l.Again()
	if seen, _ := feed(122, 300, even); seen != rhythm.Fine {
		t.Errorf("as before there is trouble %d", seen)
	}
	if seen, since := feed(301, 330, rising(310)); seen != rhythm.Diverged || since != 310 {
		t.Errorf("told once more it is trouble %d since %d", seen, since)
	}
}

// TestADivergenceIsNamedWhereItsRiseBegan has the loss fall, so that a rise stays below what was usual for a while.
func TestADivergenceIsNamedWhereItsRiseBegan(t *testing.T) {
	t.Parallel()
	for _, began := range []int64{102, 150, 400} {
		l := rhythm.NewLoss(100_000, 1)
		for step := int64(1); ; step++ {
			loss := 2 + 4/math.Sqrt(float64(step)) + 0.02*math.Sin(float64(step))
			if step >= began {
				loss += 0.5 * float64(step-began+1)
			}
			if trouble, since := l.Add(step, loss); trouble == rhythm.Diverged {
				if since != began {
					t.Errorf("a rise from step %d on is said to begin at %d", began, since)
				}
				break
			}
			if step > began+60 {
				t.Fatalf("a rise from step %d on is not seen", began)
			}
		}
	}
}

func TestTheMemoryOfALossIsEnoughToTellWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	for _, steps := range []int64{0, 1000, 88_000} {
		divergence, plateau := rhythm.Memory(steps, 1)
		told := map[rhythm.Trouble]bool{}
		l := rhythm.NewLoss(steps, 1)
		for step := range plateau {
			trouble, _ := l.Add(step, 3+float64(step%7)/100)
			told[trouble] = true
		}
		if !told[rhythm.Plateau] || !l.Flat() {
			t.Errorf("%d losses of a run of %d steps do not tell that it falls no more", plateau, steps)
		}
		l = rhythm.NewLoss(steps, 1)
		for step := range divergence {
			l.Add(step, 3+float64(step%7)/100)
		}
		for step := range int64(10) {
			trouble, _ := l.Add(divergence+step, 9)
			told[trouble] = true
		}
		if !told[rhythm.Diverged] {
			t.Errorf("%d losses do not tell what is usual", divergence)
		}
	}
}

// TestATrainerThatBeganAgainKeepsItsRhythm but neither how fast it was, nor when phases come.
func TestATrainerThatBeganAgainKeepsItsRhythm(t *testing.T) {
	t.Parallel()
	w, other := rhythm.NewWorker(rhythm.Expected{Sync: 50}, epoch), rhythm.NewWorker(rhythm.Expected{Sync: 50}, epoch)
	at := steady(w, epoch, 1, 220, 50)
	steady(other, epoch, 1, 220, 50)
	w.Restart(at)
	at = steady(w, at, 1001, 1001, 0)
	if limit, _ := w.Limit(); limit < rhythm.Unseen {
		t.Errorf("after its first step, when it may compile once more, the limit is %v", limit)
	}
	at = steady(w, at, 1002, 1003, 0)
	if limit, due := w.Limit(); limit > 2*time.Minute || due != rhythm.Sync {
		t.Errorf("after its third step the limit is %v for phases %b", limit, due)
	}
	if recent, _ := w.Recent(); recent != 0 {
		t.Errorf("after three steps it is said to take %v s for each", recent)
	}
	steady(w, at, 1004, 1040, 0)
	if recent, best := w.Recent(); recent != 1 || best != 1 {
		t.Errorf("it takes %v s for each, %v at its best", recent, best)
	}
}

// TestAPlateauBeganWhereTheLossStoppedFalling has a loss fall to a level, with and without noise, and stay.
func TestAPlateauBeganWhereTheLossStoppedFalling(t *testing.T) {
	t.Parallel()
	for name, noise := range map[string]float64{"constant": 0, "noisy": 0.02} {
		l := rhythm.NewLoss(4000, 1)
		var began int64
		for step := int64(1); step <= 4000 && began == 0; step++ {
			loss := 3.0 + noise*math.Sin(float64(step*step))
			if step < 150 {
				loss += 0.02 * float64(150-step)
			}
			if kind, since := l.Add(step, loss); kind == rhythm.Plateau {
				began = since
			}
		}
		if began < 129 || began > 192 { // the blocks of 32 around it
			t.Errorf("%s: it began at step %d, want about 150", name, began)
		}
	}
}
