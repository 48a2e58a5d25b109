package mesh_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/mesh"
)

const epoch = 1_700_000_000.0

// world trains as DiLoCo does, and reports what its workers would.
type world struct {
	workers, rounds int
	step            float64                   // seconds of an inner step
	slow            func(k, rank int) float64 // how many times as long it takes there, 0 for once
	absent          func(k, rank int) bool
	failed          func(k, rank int) bool
	offset          func(k, rank int) float64 // of a worker's clock, in seconds
	jitter          float64                   // seconds, of the ends of syncs
	clockless       bool
	reduce          float64
}

const inner = 10

// run returns the reports, and of each round the true end, who was last, and what that cost.
func (w world) run() (in mesh.Input, ends []float64, last []int, cost []float64) {
	rnd := rand.New(rand.NewPCG(1, 2))
	in.InnerSteps, in.TokensStep = inner, 100
	start := epoch
	for k := range w.rounds {
		came, end := make([]float64, w.workers), 0.0
		slowest, waited := -1, 0.0
		for rank := range came {
			if w.absent != nil && w.absent(k, rank) {
				continue
			}
			factor := 1.0
			if w.slow != nil {
				factor = max(1, w.slow(k, rank))
			}
			came[rank] = start + inner*w.step*factor*(1+0.02*rnd.Float64())
			if (w.failed == nil || !w.failed(k, rank)) && came[rank] > end {
				end, slowest = came[rank], rank
			}
		}
		for rank, at := range came {
			if at > 0 && (w.failed == nil || !w.failed(k, rank)) {
				waited += end - came[rank]
			}
			if at == 0 {
				continue
			}
			own := 0.0
			if w.offset != nil {
				own = w.offset(k, rank)
			}
			done := end + w.reduce + w.jitter*rnd.Float64()
			s := mesh.Sample{Attempt: 1, Rank: rank, Step: int64(k+1) * inner, Sync: done - at, Outer: done - at, Clock: at + own, At: done + 0.2 + rnd.Float64()}
			if w.clockless {
				s.Clock = 0
			}
			if w.failed != nil && w.failed(k, rank) {
				s.Sync = 0
			}
			in.Samples = append(in.Samples, s)
		}
		start = end + w.reduce
		ends, last, cost = append(ends, start), append(last, slowest), append(cost, waited)
	}
	return in, ends, last, cost
}

func TestTheStragglerOfEachRoundIsNamedWithWhatItCost(t *testing.T) {
	t.Parallel()
	w := world{workers: 6, rounds: 100, step: 1, reduce: 4, jitter: 0.01, slow: func(k, rank int) float64 {
		if k >= 40 && rank == 4 {
			return 3
		}
		return 1
	}, offset: func(_, rank int) float64 { return float64(rank) * -95 }} // minutes apart
	in, ends, last, cost := w.run()
	m := mesh.Of(in)
	if len(m.Rounds) != 100 || m.Receipt {
		t.Fatalf("%d rounds", len(m.Rounds))
	}
	for k, r := range m.Rounds {
		if r.Straggler != last[k] && r.Margin > 0.02 || math.Abs(r.Cost-cost[k]) > 0.05*float64(w.workers) || math.Abs(r.Reduce-4) > 0.02 || r.Members != 6 || r.Step != int64(k+1)*inner {
			t.Errorf("round %d: %+v, want straggler %d with %.2f s", k, r, last[k], cost[k])
		}
		if shift := r.End - ends[k]; math.Abs(shift-(m.Rounds[0].End-ends[0])) > 0.1 || shift < 0 || shift > 1.5 {
			t.Errorf("round %d ends %.3f s after its end", k, shift)
		}
	}
	ranking := m.Ranking()
	if ranking[0].Rank != 4 || ranking[0].Last < 60 || ranking[0].Cost < 60*5*20*0.9 || ranking[0].Cost > 60*5*20*1.1 {
		t.Errorf("worst: %+v", *ranking[0])
	}
	for rank, lane := range m.Lanes {
		if o := lane.Offset; !o.Known || math.Abs(o.Seconds-float64(rank)*-95) > 0.05 || o.Spread > 0.1 || math.Abs(o.Seconds+float64(rank)*95) > 6*max(o.Spread, 0.005) {
			t.Errorf("clock of worker %d: %+v", rank, o)
		}
		if lane.Rounds != 100 || lane.Tokens != 100*inner*100 || math.Abs(lane.StepTime-map[bool]float64{true: 3, false: 1}[rank == 4]) > 0.1 {
			t.Errorf("worker %d: %+v", rank, lane)
		}
	}
	first, end := m.Span()
	all := 0.0
	for _, v := range m.Seconds {
		all += v
	}
	if math.Abs(all-6*(end-first)) > 0.5 {
		t.Errorf("the workers' time is %.1f s, and what they did %.1f s", 6*(end-first), all)
	}
}

// TestAClockThatIsSetDoesNotMoveRounds has the leader's clock set back, and another's forth, in the midst of the run.
func TestAClockThatIsSetDoesNotMoveRounds(t *testing.T) {
	t.Parallel()
	w := world{workers: 5, rounds: 96, step: 1, reduce: 2, jitter: 0.01, slow: func(k, rank int) float64 {
		if rank == 2 && k > 70 { // rounds last longer than before
			return 3
		}
		return 1
	}, offset: func(k, rank int) float64 {
		switch {
		case rank == 0 && k >= 64:
			return -600
		case rank == 3 && k >= 32:
			return 240
		}
		return 0
	}}
	in, ends, _, _ := w.run()
	m := mesh.Of(in)
	for k, r := range m.Rounds {
		if math.Abs(r.End-ends[k]-(m.Rounds[0].End-ends[0])) > 1.5 {
			t.Errorf("round %d ends at %.2f, want %.2f", k, r.End-epoch, ends[k]-epoch)
		}
	}
	if o := m.Lanes[3].Offset; math.Abs(o.Seconds-840) > 3 && math.Abs(o.Seconds-240) > 3 {
		t.Errorf("worker 3's clock: %+v", o)
	}
}

func TestWithoutClocksReceiptPlacesRounds(t *testing.T) {
	t.Parallel()
	in, ends, last, _ := world{workers: 3, rounds: 20, step: 2, reduce: 1, clockless: true}.run()
	m := mesh.Of(in)
	if !m.Receipt {
		t.Error("the places in time are not said to be of receipt")
	}
	for k, r := range m.Rounds {
		if r.Straggler != last[k] || math.Abs(r.End-ends[k]) > 1.5 || r.Seconds() <= 0 {
			t.Errorf("round %d: %+v, want straggler %d", k, r, last[k])
		}
	}
	if m.Lanes[1].Offset.Known {
		t.Error("an offset is known without a clock")
	}
}

func TestLinesThatAreMissingOrOutOfOrderChangeNothingElse(t *testing.T) {
	t.Parallel()
	in, _, _, _ := world{workers: 5, rounds: 60, step: 1, reduce: 2, jitter: 0.01}.run()
	whole := mesh.Of(in)
	rnd := rand.New(rand.NewPCG(3, 4))
	rnd.Shuffle(len(in.Samples), func(i, j int) { in.Samples[i], in.Samples[j] = in.Samples[j], in.Samples[i] })
	if m := mesh.Of(in); !slices.EqualFunc(m.Rounds, whole.Rounds, func(a, b mesh.Round) bool {
		return a.Step == b.Step && a.End == b.End && a.Straggler == b.Straggler && a.Cost == b.Cost
	}) {
		t.Error("the order of reports matters")
	}
	in.Samples = slices.DeleteFunc(in.Samples, func(s mesh.Sample) bool { return s.Step == 300 || s.Rank > 0 && rnd.Float64() < 0.1 })
	in.Samples = append(in.Samples, in.Samples[0], mesh.Sample{Attempt: 1, Rank: -4, Step: 10, At: 5}, mesh.Sample{Attempt: 1, Rank: 1, Step: 305, Sync: math.NaN(), Clock: math.Inf(1), At: math.NaN()})
	m := mesh.Of(in)
	if len(m.Rounds) != 59 {
		t.Fatalf("%d rounds", len(m.Rounds))
	}
	for _, r := range m.Rounds {
		was := whole.Rounds[slices.IndexFunc(whole.Rounds, func(o mesh.Round) bool { return o.Step == r.Step })]
		if math.Abs(r.End-was.End) > 0.5 || r.Members == was.Members && (r.Straggler != was.Straggler || r.Cost != was.Cost) {
			t.Errorf("step %d: %+v, was %+v", r.Step, r, was)
		}
		if r.Step == 310 && r.Steps != 20 {
			t.Errorf("the round after the one that is missing has %d steps", r.Steps)
		}
	}
}

func TestOneWorkerAloneWaitsForNobody(t *testing.T) {
	t.Parallel()
	in, _, _, _ := world{workers: 1, rounds: 10, step: 1, reduce: 0.5}.run()
	m := mesh.Of(in)
	if len(m.Rounds) != 10 || len(m.Ranking()) != 0 || m.Rounds[3].Straggler != -1 || m.Rounds[3].Cost != 0 || math.Abs(m.Computing()-10/10.5) > 0.01 {
		t.Errorf("%+v, computing %.3f", m.Rounds[3], m.Computing())
	}
	if _, ok := m.Usual(); ok {
		t.Error("one worker says how others wait")
	}
	if m := mesh.Of(mesh.Input{InnerSteps: 10}); len(m.Rounds) != 0 || m.Computing() != 0 {
		t.Error("nothing is something")
	}
}

func TestWorkersThatComeGoAndFailHaveTheirPlaces(t *testing.T) {
	t.Parallel()
	w := world{
		workers: 4, rounds: 40, step: 1, reduce: 2, jitter: 0.01,
		absent: func(k, rank int) bool { return rank == 2 && k >= 10 && k < 20 || rank == 3 && k < 5 },
		failed: func(k, rank int) bool { return rank == 1 && k == 30 },
	}
	in, ends, _, _ := w.run()
	in.Events = []mesh.Event{
		{Kind: mesh.Ended, Attempt: 1, Rank: 2, At: ends[14] + 5},   // one that had not joined
		{Kind: mesh.Ended, Attempt: 1, Rank: 2, At: ends[9] + 5},    // in the midst of its inner steps
		{Kind: mesh.Joining, Attempt: 1, Rank: 2, At: ends[18] + 4}, // waits for the end of that round
		{Kind: mesh.Joining, Attempt: 1, Rank: 3, At: ends[3] + 1},
		{Kind: mesh.Retried, Attempt: 1, Rank: 1, At: ends[29] + 3}, {Kind: mesh.Retried, Attempt: 1, Rank: 1, At: ends[29] + 4},
	}
	m := mesh.Of(in)
	shift := m.Rounds[0].End - ends[0]
	spans := m.Lanes[2].Spans
	if len(spans) != 2 || spans[0].State != mesh.Computing || math.Abs(spans[0].From-ends[9]-shift) > 0.1 || spans[0].To != ends[9]+5 ||
		spans[1].State != mesh.Recovering || spans[1].From != ends[18]+4 || math.Abs(spans[1].To-ends[19]-shift) > 0.1 {
		t.Errorf("worker 2 is elsewhere: %+v", spans)
	}
	if s := m.Lanes[3].Spans; len(s) != 1 || s[0].State != mesh.Recovering || math.Abs(s[0].To-ends[4]-shift) > 0.1 {
		t.Errorf("worker 3 joins: %+v", s)
	}
	if got := m.Lanes[2].Seconds[mesh.Absent]; math.Abs(got-10*12+5+8) > 4 {
		t.Errorf("worker 2 was absent for %.1f s", got)
	}
	r := m.Rounds[30]
	if r.Alone != 1 || r.Retries != 2 || r.Members != 4 || r.Straggler == 1 || m.Lanes[1].Seconds[mesh.Alone] == 0 {
		t.Errorf("the round that failed: %+v", r)
	}
	for k, want := range map[int]int{0: 3, 4: 3, 5: 4, 9: 4, 10: 3, 19: 3, 20: 4} {
		if m.Rounds[k].Members != want {
			t.Errorf("round %d has %d workers, want %d", k, m.Rounds[k].Members, want)
		}
	}
}

func TestAttemptsFollowEachOther(t *testing.T) {
	t.Parallel()
	w := world{workers: 2, rounds: 10, step: 1, reduce: 1, jitter: 0.01}
	in, ends, _, _ := w.run()
	again, _, _, _ := w.run()
	gap := 10*12.0 + 300
	for _, s := range again.Samples { // from step 60 on, five minutes later
		s.Attempt, s.Step = 2, s.Step+50
		s.At += gap
		s.Clock += gap
		in.Samples = append(in.Samples, s)
	}
	in.Events = []mesh.Event{{Kind: mesh.Ready, Attempt: 2, Rank: 0, At: epoch + gap}, {Kind: mesh.Ready, Attempt: 2, Rank: 1, At: epoch + gap + 0.1}}
	m := mesh.Of(in)
	if len(m.Rounds) != 20 || m.Rounds[10].Attempt != 2 || m.Rounds[10].Step != 60 || m.Rounds[10].Steps != 10 {
		t.Fatalf("%+v", m.Rounds[10])
	}
	if pause := m.Rounds[10].Start - m.Rounds[9].End; math.Abs(pause-(epoch+gap-ends[9])) > 1.5 {
		t.Errorf("the restart took %.1f s, want %.1f", pause, epoch+gap-ends[9])
	}
	if got := m.Lanes[0].Seconds[mesh.Absent]; math.Abs(got-(m.Rounds[10].Start-m.Rounds[9].End)) > 0.1 {
		t.Errorf("between the attempts worker 0 was absent for %.1f s", got)
	}
}

// TestAGridHasTheSharesOfAllThatHappened however coarse or fine it is.
func TestAGridHasTheSharesOfAllThatHappened(t *testing.T) {
	t.Parallel()
	in, _, _, _ := world{workers: 3, rounds: 50, step: 1, reduce: 3, absent: func(k, rank int) bool { return rank == 1 && k > 30 }}.run()
	m := mesh.Of(in)
	from, to := m.Span()
	for _, columns := range []int{1, 7, 400, 3000} {
		g := m.Grid(from, to, columns)
		for lane := range m.Lanes {
			for state := mesh.Computing; int(state) <= mesh.Drawn; state++ {
				sum := 0.0
				for c := range columns {
					sum += float64(g.Cells[(lane*columns+c)*mesh.Drawn+int(state)-1]) / 255
				}
				if want := m.Lanes[lane].Seconds[state] / (to - from) * float64(columns); math.Abs(sum-want) > 0.006*float64(columns) {
					t.Errorf("%d columns: worker %d has %.2f of %v, want %.2f", columns, lane, sum, state, want)
				}
			}
		}
	}
	if g := m.Grid(to, from, 10); slices.Max(g.Cells) != 0 {
		t.Error("a range that ends before it starts has something")
	}
}

func TestOtherSettingsAreWorkedOutFromWhatHappened(t *testing.T) {
	t.Parallel()
	w := world{workers: 4, rounds: 50, step: 1, reduce: 8, slow: func(_, rank int) float64 {
		if rank == 2 {
			return 4
		}
		return 1
	}}
	in, _, _, _ := w.run()
	m := mesh.Of(in)
	u, ok := m.Usual()
	if !ok || u.Members != 4 || math.Abs(u.Step-4.04) > 0.1 || math.Abs(u.Reduce-8) > 0.01 || math.Abs(u.Share()-40/48.0) > 0.01 {
		t.Fatalf("%+v", u)
	}
	n, ok := u.InnerStepsFor()
	if !ok || math.Abs(u.With(n, u.Reduce).Share()-0.95) > 0.01 {
		t.Errorf("%d inner steps have %.3f of the time", n, u.With(n, u.Reduce).Share())
	}
	without, ok := m.WithoutSlowest()
	if !ok || !slices.Equal(without.Ranks, []int{2}) || math.Abs(without.Saved-30) > 1 || math.Abs(without.Before-40/48.4) > 0.02 || math.Abs(without.After-30/18.2) > 0.05 {
		t.Errorf("%+v, %v", without, ok)
	}
	w.slow, w.reduce = nil, 0.5
	even, _, _, _ := w.run()
	if u, _ := mesh.Of(even).Usual(); u.Share() < 0.9 {
		t.Errorf("%+v", u)
	} else if n, ok := u.InnerStepsFor(); ok {
		t.Errorf("syncs that take a twentieth of the time should be as rare as %d steps", n)
	}
	if without, ok := mesh.Of(even).WithoutSlowest(); ok {
		t.Errorf("workers alike would be faster without %v: %+v", without.Ranks, without)
	}
}

// BenchmarkOf makes 1,000 rounds of what 300 workers reported, Grid what a page asks of them, and Samples only reads all reports once,
// which is the least that whoever draws them as they are would do.
func BenchmarkOf(b *testing.B) {
	in, _, _, _ := world{workers: 300, rounds: 1000, step: 1, reduce: 3}.run()
	m := mesh.Of(in)
	from, to := m.Span()
	b.Run("Rounds", func(b *testing.B) {
		for b.Loop() {
			mesh.Of(in)
		}
	})
	b.Run("Grid", func(b *testing.B) {
		for b.Loop() {
			m.Grid(from, to, 400)
		}
	})
	b.Run("Samples", func(b *testing.B) {
		for b.Loop() {
			sum := 0.0
			for _, s := range in.Samples {
				sum += s.Sync + s.Clock
			}
			if sum == 0 {
				b.Fatal(sum)
			}
		}
	})
}
