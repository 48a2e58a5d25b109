package mesh

import (
	"cmp"
	"math"
	"slices"
)

// Sample is what one worker reported of one round.
type Sample struct {
	Attempt int
	Rank    int
	Step    int64   // the last inner step of the round
	Sync    float64 // seconds that the sync took, waiting included; 0 where none succeeded
	Outer   float64 // seconds of sync and outer optimiser together, also of a sync that failed; 0 where it is not told
	Clock   float64 // when the last inner step was done, in Unix seconds by the worker's own clock; 0 where it is not told
	At      float64 // when the console received the report, in Unix seconds
}

// EventKind is what happened to a worker between rounds.
type EventKind uint8

// The kinds.
const (
	Ready   EventKind = iota + 1 // it is a member of the mesh
	Joining                      // it waits for the next outer step
	Retried                      // an all-reduce failed and is tried again
	Failed                       // all of them failed: it goes on alone
	Ended                        // its processes ended
)

// Event is something that happened to a worker.
type Event struct {
	Kind    EventKind
	Attempt int
	Rank    int
	At      float64 // Unix seconds, by the console's clock
}

// Input is what a run's workers reported, in any order.
type Input struct {
	InnerSteps int64
	TokensStep int64 // tokens of one inner step of one worker; 0 for unknown
	Samples    []Sample
	Events     []Event
	Nodes      map[int]string // names, by rank, of the newest attempt
}

// State is what a worker does in a part of a round.
type State uint8

// The states. The zero value is that of a worker that takes no part.
const (
	Absent     State = iota
	Computing        // inner steps, and what is between them: reading data, checkpoints, the outer optimiser
	Waiting          // for the straggler
	Syncing          // the all-reduce alone
	Recovering       // waits to join, and receives the state of a peer
	Alone            // its all-reduce failed: this round it trained by itself
	states
)

var stateNames = [states]string{"absent", "compute", "wait", "all-reduce", "recovery", "alone"}

// String names the state.
func (s State) String() string {
	if s >= states {
		return ""
	}
	return stateNames[s]
}

// Cell is one worker in one round.
type Cell struct {
	Sync   float32 // seconds, waiting included
	Member bool    // it took part
	Failed bool    // its all-reduce failed
}

// Round is one outer step of one attempt.
type Round struct {
	Attempt   int
	Step      int64   // its last inner step
	Steps     int64   // inner steps since the round before: more than the run's where reports are missing
	Start     float64 // Unix seconds
	End       float64
	Members   int     // workers that took part
	Straggler int     // rank of who came last, -1 where fewer than two synced
	Margin    float64 // seconds that it came after the last but one
	Cost      float64 // seconds that the others waited for it, together
	Reduce    float64 // seconds of the all-reduce alone
	Slowest   float64 // seconds of the longest sync: waiting and all-reduce
	Retries   int     // all-reduces that failed and were tried again, over all workers
	Alone     int     // workers whose all-reduce failed for good
	cells     []Cell  // by lane
}

// Seconds is how long the round took.
func (r *Round) Seconds() float64 { return r.End - r.Start }

// Cell is a lane's part in the round.
func (r *Round) Cell(lane int) Cell { return r.cells[lane] }

// Span is a part of a lane between or beside rounds.
type Span struct {
	State    State
	From, To float64 // Unix seconds
}

// Lane is one worker over all attempts.
type Lane struct {
	Rank  int
	Node  string
	Spans []Span // what it did outside the rounds that it took part in, in order; absent is left out

	Rounds   int        // it took part in
	Tokens   int64      // of them
	Seconds  [6]float64 // by state, from the run's first round to its last
	Last     int        // rounds whose straggler it was
	Cost     float64    // seconds that others waited for it
	StepTime float64    // seconds of an inner step, the median over its rounds; 0 for unknown
	Offset   Offset     // of its clock
}

// Offset is by how much a worker's clock is ahead of worker 0's.
type Offset struct {
	Known   bool
	Seconds float64
	Spread  float64 // about one standard error of a single round, from the median deviation
	Rounds  int     // that say so: the newest
}

// Mesh is all of it.
type Mesh struct {
	InnerSteps int64
	Rounds     []Round // in order of time
	Lanes      []Lane  // by rank
	// Receipt is true where workers did not tell their clocks, so that places in time are those of receipt.
	Receipt bool
	Seconds [6]float64 // by state, over all workers
	lane    map[int]int
}

// Bounds of what a report may say.
const (
	maxSeconds = 30 * 24 * 3600.0
	maxUnix    = 1e11
)

// Of makes rounds of reports.
func Of(in Input) *Mesh {
	m := &Mesh{InnerSteps: in.InnerSteps, lane: map[int]int{}}
	samples := clean(in.Samples)
	if len(samples) == 0 {
		return m
	}
	m.lanes(samples, in)
	for len(samples) > 0 {
		n := slices.IndexFunc(samples, func(s Sample) bool { return s.Attempt != samples[0].Attempt })
		if n < 0 {
			n = len(samples)
		}
		m.attempt(samples[:n], in.Events)
		samples = samples[n:]
	}
	m.order()
	m.retries(in.Events)
	m.sum(in)
	return m
}

// clean sorts reports by attempt, step and rank, one of each, without what cannot be.
func clean(all []Sample) []Sample {
	seconds := func(v float64) float64 {
		if !(v > 0 && v < maxSeconds) {
			return 0
		}
		return v
	}
	out := make([]Sample, 0, len(all))
	for _, s := range all {
		if s.Rank < 0 || s.Step < 0 || !(s.At > 0 && s.At < maxUnix) {
			continue
		}
		if !(s.Clock > 0 && s.Clock < maxUnix) {
			s.Clock = 0
		}
		s.Sync, s.Outer = seconds(s.Sync), seconds(s.Outer)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Rank, b.Rank))
	})
	return slices.CompactFunc(out, func(a, b Sample) bool { return a.Attempt == b.Attempt && a.Step == b.Step && a.Rank == b.Rank })
}

func (m *Mesh) lanes(samples []Sample, in Input) {
	var ranks []int
	seen := map[int]bool{}
	for _, s := range samples {
		if !seen[s.Rank] {
			seen[s.Rank] = true
			ranks = append(ranks, s.Rank)
		}
	}
	for rank := range in.Nodes { // placed, and not yet synced
		if !seen[rank] && rank >= 0 {
			ranks = append(ranks, rank)
		}
	}
	slices.Sort(ranks)
	for i, rank := range ranks {
		m.lane[rank] = i
		m.Lanes = append(m.Lanes, Lane{Rank: rank, Node: in.Nodes[rank]})
	}
}

// attempt appends the rounds of one attempt.
func (m *Mesh) attempt(samples []Sample, events []Event) {
	if !slices.ContainsFunc(samples, func(s Sample) bool { return s.Sync > 0 }) {
		for i := range samples { // without its text lines, the core tells one duration
			samples[i].Sync = samples[i].Outer
		}
	}
	rounds := m.split(samples)
	a := align(rounds, samples)
	m.Receipt = m.Receipt || a.receipt
	for i := range a.offsets {
		m.Lanes[m.lane[a.ranks[i]]].Offset = a.offsets[i]
	}
	attempt := samples[0].Attempt
	for i := range rounds {
		r := &rounds[i]
		r.End = a.ends[i]
		if i > 0 {
			r.Start, r.Steps = rounds[i-1].End, r.Step-rounds[i-1].Step
			r.End = max(r.End, r.Start)
		} else {
			r.Steps = min(m.InnerSteps, r.Step)
		}
	}
	m.begin(rounds, attempt, events)
	m.between(rounds, attempt, events)
	m.Rounds = append(m.Rounds, rounds...)
}

// split makes a round of the reports of each step, without its place in time.
func (m *Mesh) split(samples []Sample) []Round {
	n := 0
	for i, s := range samples {
		if i == 0 || s.Step != samples[i-1].Step {
			n++
		}
	}
	rounds, cells := make([]Round, 0, n), make([]Cell, n*len(m.Lanes))
	for i, s := range samples {
		if i == 0 || s.Step != samples[i-1].Step {
			rounds = append(rounds, Round{Attempt: s.Attempt, Step: s.Step, Straggler: -1, cells: cells[:len(m.Lanes):len(m.Lanes)]})
			cells = cells[len(m.Lanes):]
		}
		r := &rounds[len(rounds)-1]
		r.cells[m.lane[s.Rank]] = Cell{Sync: float32(max(s.Sync, failed(s))), Member: true, Failed: s.Sync == 0}
	}
	for i := range rounds {
		m.judge(&rounds[i])
	}
	return rounds
}

// failed is how long a worker tried that did not sync.
func failed(s Sample) float64 {
	if s.Sync > 0 {
		return 0
	}
	return s.Outer
}

// judge finds out who was last and what that cost.
func (m *Mesh) judge(r *Round) {
	least, next, sum, synced := math.Inf(1), math.Inf(1), 0.0, 0
	for lane, c := range r.cells {
		if !c.Member {
			continue
		}
		r.Members++
		if c.Failed {
			r.Alone++
			continue
		}
		v := float64(c.Sync)
		synced++
		sum += v
		r.Slowest = max(r.Slowest, v)
		switch {
		case v < least:
			least, next, r.Straggler = v, least, m.Lanes[lane].Rank
		case v < next:
			next = v
		}
	}
	if synced < 2 {
		r.Straggler = -1
	}
	if synced > 0 {
		r.Reduce, r.Cost = least, max(0, sum-least*float64(synced))
	}
	if r.Straggler >= 0 {
		r.Margin = next - least
	}
}

// order puts the rounds of attempts into one sequence. An attempt begins when the one before has ended, whatever clocks say.
func (m *Mesh) order() {
	for i := 1; i < len(m.Rounds); i++ {
		r, before := &m.Rounds[i], m.Rounds[i-1]
		if r.Start < before.End {
			r.Start = before.End
			r.End = max(r.End, r.Start)
		}
	}
}

// retries counts what went wrong in each round.
func (m *Mesh) retries(events []Event) {
	for _, e := range events {
		if e.Kind != Retried {
			continue
		}
		if i, found := m.At(e.At); found && m.Rounds[i].Attempt == e.Attempt {
			m.Rounds[i].Retries++
		}
	}
}

// At returns the round of a time, or the next.
func (m *Mesh) At(unix float64) (i int, found bool) {
	i, _ = slices.BinarySearchFunc(m.Rounds, unix, func(r Round, t float64) int { return cmp.Compare(r.End, t) })
	return i, i < len(m.Rounds)
}

// Lane returns the index of a rank's lane, -1 for none.
func (m *Mesh) Lane(rank int) int {
	if i, ok := m.lane[rank]; ok {
		return i
	}
	return -1
}
