package rounds

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// Store reads what workers reported. Whoever asks must have been allowed to see the run before.
type Store interface {
	// Rounds tells of points at the ends of rounds.
	Rounds(ctx context.Context, id run.ID, q points.RoundQuery, take func(points.RoundPoint)) error
	// PointsVersion returns a number that grows whenever a run's points may have changed.
	PointsVersion(ctx context.Context, id run.ID) (int64, error)
	// Events returns up to limit events after a sequence, oldest first.
	Events(ctx context.Context, id run.ID, after int64, limit int) ([]run.Event, error)
	// Workers returns the newest attempt's, by rank.
	Workers(ctx context.Context, id run.ID) ([]run.Worker, error)
}

const (
	// mostSamples bounds the reports of a run: 300 workers in 5,000 rounds. Of more, the oldest rounds are left out.
	mostSamples = 1_500_000
	// keptSamples bounds those of all runs together, at about 100 bytes each with the rounds made of them, and keptRuns the runs.
	keptSamples = 2_500_000
	keptRuns    = 64
	// again is how many of the newest rounds are read again, since workers' logs are read at different times.
	again = 32
	// eventsAtOnce is how many events are read at a time, and mostEvents how many at all.
	eventsAtOnce = 10_000
	mostEvents   = 200_000
)

// The metrics of which rounds are made: durations of a sync, what is reported of one that failed too, and the worker's clock.
const (
	syncSeconds   = "sync_seconds"
	outerSeconds  = "all_reduce_seconds"
	exactSeconds  = "all_reduce_step" // the same from the metrics logger
	outerReported = "outer_mfu"
	clock         = "time"
)

// Cache keeps the rounds of runs.
type Cache struct {
	mu      sync.Mutex
	kept    *simplelru.LRU[run.ID, *kept]
	samples int
}

// NewCache returns an empty one.
func NewCache() *Cache {
	c := &Cache{}
	c.kept, _ = simplelru.NewLRU(keptRuns, func(_ run.ID, k *kept) { c.samples -= k.counted }) // its only error is a size below 1
	return c
}

// kept is what is known of a run.
type kept struct {
	mu      sync.Mutex // one reads at a time
	counted int        // of Cache.samples; guarded by its lock

	version  int64
	revision int64
	ended    bool // read whole after the run's end
	index    map[key]int
	samples  []mesh.Sample
	attempt  int   // the newest
	step     int64 // its newest
	events   []mesh.Event
	after    int64 // sequence of the newest event
	cut      bool
	made     *Rounds
}

type key struct {
	attempt, rank int
	step          int64
}

// Rounds is a run's mesh as of a version, not to be changed.
type Rounds struct {
	*mesh.Mesh
	// Version is another one whenever the rounds have changed.
	Version int64
	// Cut is true where there are more rounds, older ones, than are kept.
	Cut     bool
	Workers []run.Worker // of the newest attempt
}

// Of returns the rounds of a run.
func (c *Cache) Of(ctx context.Context, s Store, r run.Run) (*Rounds, error) {
	k := c.entry(r.ID)
	k.mu.Lock()
	defer k.mu.Unlock()
	version, err := s.PointsVersion(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if k.made != nil && k.version == version && k.revision == r.Revision {
		return k.made, nil
	}
	if err := k.read(ctx, s, r); err != nil {
		return nil, fmt.Errorf("rounds of %s: %w", r.ID, err)
	}
	k.version, k.revision = version, r.Revision
	c.count(r.ID, k, len(k.samples))
	return k.made, nil
}

func (c *Cache) entry(id run.ID) *kept {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.kept.Get(id)
	if !ok {
		k = &kept{index: map[key]int{}}
		c.kept.Add(id, k)
	}
	return k
}

// count drops what was looked at least lately where all runs together are too much.
func (c *Cache) count(id run.ID, k *kept, samples int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, ok := c.kept.Peek(id); !ok || now != k {
		return // dropped meanwhile
	}
	c.samples += samples - k.counted
	k.counted = samples
	for c.samples > keptSamples && c.kept.Len() > 1 {
		c.kept.RemoveOldest()
	}
}

// read brings what is known up to date.
func (k *kept) read(ctx context.Context, s Store, r run.Run) error {
	q := points.RoundQuery{Every: max(1, r.InnerSteps), Attempt: k.attempt, From: max(0, k.step-again*r.InnerSteps)}
	if whole := r.State.Terminal() && !k.ended; whole || k.made == nil {
		k.index, k.samples, k.attempt, k.step, k.cut, k.ended = map[key]int{}, nil, 0, 0, false, r.State.Terminal()
		q.Attempt, q.From = 0, k.first(r)
	}
	changed, err := k.reports(ctx, s, r.ID, q)
	if err != nil {
		return err
	}
	news, err := k.happened(ctx, s, r.ID)
	if err != nil {
		return err
	}
	workers, err := s.Workers(ctx, r.ID)
	if err != nil {
		return err
	}
	if !changed && !news && k.made != nil && k.revision == r.Revision {
		return nil
	}
	events, nodes := k.events, map[int]string{}
	for _, w := range workers {
		nodes[w.Rank] = w.NodeName
		if !w.EndedAt.IsZero() {
			events = append(events[:len(events):len(events)], mesh.Event{Kind: mesh.Ended, Attempt: w.Attempt, Rank: w.Rank, At: seconds(w.EndedAt)})
		}
	}
	made := &Rounds{Cut: k.cut, Workers: workers, Version: 1, Mesh: mesh.Of(mesh.Input{
		InnerSteps: r.InnerSteps, TokensStep: tokensStep(r), Samples: k.samples, Events: events, Nodes: nodes,
	})}
	if k.made != nil {
		made.Version = k.made.Version + 1
	}
	k.made = made
	return nil
}

// first is the first step to read where all rounds would be too many.
func (k *kept) first(r run.Run) int64 {
	rounds := mostSamples / int64(max(1, r.Shape.Nodes))
	from := r.Progress.Step - rounds*r.InnerSteps
	k.cut = from > 0
	return max(0, from)
}

// reports reads what workers reported, and tells whether that has changed.
func (k *kept) reports(ctx context.Context, s Store, id run.ID, q points.RoundQuery) (changed bool, err error) {
	q.Metrics = []string{syncSeconds, outerSeconds, exactSeconds, outerReported}
	took := func(p points.RoundPoint) {
		at := k.sample(p)
		if at == nil {
			return
		}
		before := *at
		at.At = float64(p.At) / 1000
		switch p.Metric {
		case syncSeconds:
			at.Sync = p.Value
		case outerSeconds, exactSeconds:
			at.Outer = p.Value
		}
		changed = changed || *at != before
	}
	if err := s.Rounds(ctx, id, q, took); err != nil {
		return false, err
	}
	q.Metrics = []string{clock}
	err = s.Rounds(ctx, id, q, func(p points.RoundPoint) {
		if i, known := k.index[key{p.Attempt, p.Rank, p.Step}]; known && k.samples[i].Clock != p.Value { // of steps that ended a round
			k.samples[i].Clock, changed = p.Value, true
		}
	})
	return changed, err
}

// sample is that of a point, nil where there are too many.
func (k *kept) sample(p points.RoundPoint) *mesh.Sample {
	if math.IsNaN(p.Value) || p.Step == 0 {
		return nil
	}
	of := key{p.Attempt, p.Rank, p.Step}
	i, known := k.index[of]
	if !known {
		if len(k.samples) >= 2*mostSamples { // of attempts that began again and again
			k.cut = true
			return nil
		}
		i = len(k.samples)
		k.index[of] = i
		k.samples = append(k.samples, mesh.Sample{Attempt: p.Attempt, Rank: p.Rank, Step: p.Step})
	}
	if p.Attempt > k.attempt || p.Attempt == k.attempt && p.Step > k.step {
		k.attempt, k.step = p.Attempt, p.Step
	}
	return &k.samples[i]
}

var kinds = map[string]mesh.EventKind{
	logparse.MeshReady: mesh.Ready, logparse.WaitingToJoin: mesh.Joining, logparse.SyncError: mesh.Retried, logparse.SyncFailed: mesh.Failed,
}

// happened reads the events since the last time, and tells whether one matters.
func (k *kept) happened(ctx context.Context, s Store, id run.ID) (news bool, err error) {
	for len(k.events) < mostEvents {
		events, err := s.Events(ctx, id, k.after, eventsAtOnce)
		if err != nil {
			return news, err
		}
		for _, e := range events {
			k.after = e.Seq
			if kind := kinds[e.Kind]; kind != 0 {
				k.events = append(k.events, mesh.Event{Kind: kind, Attempt: e.Attempt, Rank: e.Rank, At: seconds(e.At)})
				news = true
			}
		}
		if len(events) < eventsAtOnce {
			break
		}
	}
	return news, nil
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
