package watch

import (
	"math"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// vitals are what the logs of live runs tell of how they go on.
type vitals struct {
	mu   sync.Mutex
	runs map[run.ID]*vital
}

// vital is what is known of an attempt.
type vital struct {
	attempt  int
	expected rhythm.Expected
	steps    int64 // of the whole run
	learned  bool  // what was stored before this console began is learned
	members  map[string]*member
	slow     map[int]int64 // ranks that were slow at the last look, and the step at which they first were
}

// member is a worker, by its allocation.
type member struct {
	rank   int
	rhythm *rhythm.Worker
	loss   *rhythm.Loss
	clock  clock

	steps    int64       // of the whole run
	lossStep int64       // newest step whose loss was watched
	stride   int64       // steps from one loss to the next, 0 until it is known
	early    bool        // heard before the past was learned
	heard    []heardLoss // until then
	told     float64     // its clock at the newest report, 0 for unknown
	peers    int
	alone    int64 // step since which it trains alone, -1 for none
	aloneAt  time.Time
	trouble  *trouble // with its loss
	asked    int64    // step at which its stacks were asked for, -2 for never
}

// trouble is one that a loss had.
type trouble struct {
	usual float64 // loss before it
	kind  rhythm.Trouble
	step  int64
	at    time.Time
	well  int // losses in a row that are as they were before it
}

func newMember(rank int, e rhythm.Expected, steps int64, began time.Time) *member {
	return &member{rank: rank, rhythm: rhythm.NewWorker(e, began), loss: rhythm.NewLoss(steps, 1), steps: steps, alone: -1, asked: -2}
}

// expect sets what the run's configuration says, where that becomes known later.
func (m *member) expect(e rhythm.Expected, steps int64) {
	m.steps = steps
	m.rhythm.Expect(e)
	m.loss.Expect(steps, m.stride)
}

// again begins another attempt, which is compared with the earlier ones. What was wrong with those does not count.
func (m *member) again(at time.Time) {
	m.rhythm.Restart(at)
	m.loss.Again()
	m.trouble, m.lossStep = nil, 0
}

// Pulse takes what a batch of a worker's log tells. It does not block.
func (w *Watcher) Pulse(b *store.Batch) {
	if len(b.Checkpoints) > 0 {
		w.ReconcileSoon(b.RunID) // a pause may wait for it
	}
	p := b.Pulse
	if p.Step == 0 && !p.HasOfDay && !p.Synced && !p.Saved && !p.SyncFailed && p.Peers == 0 {
		return
	}
	w.vitals.mu.Lock()
	defer w.vitals.mu.Unlock()
	v := w.vitals.of(b.RunID, b.Attempt)
	if v == nil {
		return
	}
	v.member(b.AllocID, b.Rank, b.At).take(b)
}

// member returns a worker by its allocation, a new one that began at a time where it is not known.
func (v *vital) member(alloc string, rank int, began time.Time) *member {
	m := v.members[alloc]
	if m == nil {
		m = newMember(rank, v.expected, v.steps, began)
		m.early = !v.learned
		v.members[alloc] = m
	}
	return m
}

// of returns an attempt's vital, new where there is none; nil if a later attempt is known. The caller holds mu.
func (v *vitals) of(id run.ID, attempt int) *vital {
	known := v.runs[id]
	if known != nil && known.attempt > attempt {
		return nil
	}
	if known == nil || known.attempt < attempt {
		known = &vital{attempt: attempt, members: map[string]*member{}, slow: map[int]int64{}}
		v.runs[id] = known
	}
	return known
}

func (v *vitals) forget(id run.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.runs, id)
}

// take learns from a batch.
func (m *member) take(b *store.Batch) {
	p := b.Pulse
	if p.Began {
		m.rhythm.Restart(b.At)
		m.lossStep, m.told = 0, 0
	}
	m.clock.take(p, b.At)
	for mark, is := range map[rhythm.Mark]bool{rhythm.Sync: p.Synced, rhythm.Checkpoint: p.Saved, rhythm.Evaluation: p.Evaluated} {
		if is {
			m.rhythm.Mark(mark)
		}
	}
	for _, c := range p.Clocks {
		if c.Step <= m.rhythm.Step() {
			continue
		}
		var took time.Duration
		if m.told > 0 && c.At > m.told {
			took = time.Duration(min(c.At-m.told, day) * float64(time.Second))
		}
		m.told = c.At
		m.rhythm.Report(c.Step, b.At, took)
	}
	if p.Step > m.rhythm.Step() {
		m.told = 0
		m.rhythm.Report(p.Step, b.At, 0)
	}
	if p.Peers > 0 {
		m.peers = p.Peers
	}
	switch {
	case p.Joined:
		m.alone = -1
	case p.SyncFailed && m.alone < 0:
		m.alone, m.aloneAt = max(0, m.rhythm.Step()), b.At
	}
	for _, pt := range b.Points {
		if pt.Metric == "loss" && pt.Step > m.lossStep {
			m.watchLoss(pt.Step, pt.Value, b.At)
			if m.early && len(m.heard) < relearned {
				m.heard = append(m.heard, heardLoss{pt.Step, pt.Value, b.At})
			}
		}
	}
}

// heardLoss is a loss that was heard before the past was learned.
type heardLoss struct {
	step int64
	loss float64
	at   time.Time
}

// day bounds in seconds what a worker's clock may say of an interval.
const day = 24 * 60 * 60

func (m *member) watchLoss(step int64, loss float64, at time.Time) {
	if m.stride == 0 && m.lossStep > 0 && step > m.lossStep {
		m.stride = step - m.lossStep
		m.loss.Expect(m.steps, m.stride)
	}
	m.lossStep = step
	if kind, since := m.loss.Add(step, loss); kind != rhythm.Fine && (m.trouble == nil || m.trouble.kind == rhythm.Plateau) {
		m.trouble = &trouble{kind: kind, step: since, at: at, usual: m.loss.Usual()}
	}
	if m.trouble != nil && m.trouble.passed(loss, m.loss) {
		m.trouble = nil
		m.loss.Again()
	}
}

const (
	// wellAgain is how many losses in a row end a trouble, which are at most asBefore above what was usual before it.
	wellAgain = 50
	asBefore  = 0.1
)

// passed reports whether a loss ends the trouble.
func (t *trouble) passed(loss float64, l *rhythm.Loss) bool {
	if t.kind == rhythm.Plateau {
		return !l.Flat()
	}
	if t.well++; !run.Finite(loss) || t.usual != 0 && loss > t.usual+asBefore*math.Abs(t.usual) {
		t.well = 0
	}
	return t.well >= wellAgain
}

// Of a clock.
const (
	lags     = 32               // newest measurements that count
	leastLag = 8                // measurements that it takes
	skewed   = 3 * time.Second  // apart from worker 0: told
	evicted  = 10 * time.Second // behind worker 0: CotrainCore takes it for dead
	// zone is what time zones differ by: of a time of day only the rest counts.
	zone = 15 * time.Minute
)

// clock compares a worker's clock with the console's: by how much later than printed its lines arrive.
type clock struct {
	exact, coarse lagWindow
}

type lagWindow struct {
	lag  [lags]time.Duration
	n    int
	next int
}

func (w *lagWindow) add(d time.Duration) {
	w.lag[w.next] = d
	w.next = (w.next + 1) % lags
	w.n = min(w.n+1, lags)
}

// least is the shortest lag: the others were longer on the way.
func (w *lagWindow) least() (time.Duration, bool) {
	if w.n < leastLag {
		return 0, false
	}
	out := w.lag[0]
	for _, d := range w.lag[:w.n] {
		out = min(out, d)
	}
	return out, true
}

func (c *clock) take(p run.Pulse, at time.Time) {
	if n := len(p.Clocks); n > 0 {
		off := float64(at.UnixMilli())/1000 - p.Clocks[n-1].At
		c.exact.add(time.Duration(max(-day, min(off, day)) * float64(time.Second)))
	}
	if p.HasOfDay {
		at = at.UTC()
		sinceMidnight := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second + time.Duration(at.Nanosecond())
		c.coarse.add(wrap(sinceMidnight - time.Duration(p.OfDay)*time.Second))
	}
}

// wrap brings a difference of times of day to within half a zone.
func wrap(d time.Duration) time.Duration {
	d %= zone
	switch {
	case d >= zone/2:
		d -= zone
	case d < -zone/2:
		d += zone
	}
	return d
}

// behind is by how much a clock is behind another.
func (c *clock) behind(o *clock) (time.Duration, bool) {
	for _, pair := range [][2]*lagWindow{{&c.exact, &o.exact}, {&c.coarse, &o.coarse}} {
		mine, ok := pair[0].least()
		other, too := pair[1].least()
		if ok && too {
			return wrapIf(mine-other, pair[0] == &c.coarse), true
		}
	}
	return 0, false
}

func wrapIf(d time.Duration, coarse bool) time.Duration {
	if coarse {
		return wrap(d)
	}
	return d
}

// current returns the member of each rank, by the allocations that run now.
func (v *vital) current(ws []run.Worker, now time.Time) (members []*member, workers []run.Worker) {
	top := -1
	for _, wk := range ws {
		top = max(top, wk.Rank)
	}
	members, workers = make([]*member, top+1), make([]run.Worker, top+1)
	for _, wk := range ws {
		if wk.Rank < 0 || wk.State != run.WorkerRunning || !wk.Started {
			continue
		}
		members[wk.Rank], workers[wk.Rank] = v.member(wk.AllocID, wk.Rank, orNow(wk.StartedAt, now)), wk
	}
	return members, workers
}
