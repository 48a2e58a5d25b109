package ingest

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

const (
	// progressEvery is how often a run's headline and curves are told while samples come and somebody looks at it, and
	// unseenEvery while nobody does: a console of a hundred runs must not spend its time on what nobody sees.
	progressEvery = 100 * time.Millisecond
	unseenEvery   = time.Second
	// maxSpan is the most steps that one update holds; after more (a console catching up) viewers read the page anew.
	maxSpan = 2000
)

// throughput is summed over workers.
const throughput = "tokens_per_second"

// live are the metrics that viewers get step by step, with what is shown of each.
var live = map[string][]string{"loss": {"mean", "min", "max"}, throughput: {"sum"}}

// progress derives headlines and curve updates from what is stored. It holds nothing that cannot be derived again.
type progress struct {
	o     Options
	mu    sync.Mutex
	dirty map[run.ID]*span
}

type span struct {
	from, to int64
	since    time.Time // when the first of them changed
}

func newProgress(o Options) *progress { return &progress{o: o, dirty: map[run.ID]*span{}} }

// add notes which steps of a run have changed.
func (p *progress) add(b *store.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.dirty[b.RunID]
	if s == nil {
		s = p.empty()
		p.dirty[b.RunID] = s
	}
	for _, pt := range b.Points {
		if live[pt.Metric] != nil {
			s.from, s.to = min(s.from, pt.Step), max(s.to, pt.Step)
		}
	}
}

// touch makes the next flush compute the headline although no step has changed.
func (p *progress) touch(id run.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dirty[id] == nil {
		p.dirty[id] = p.empty()
	}
}

func (p *progress) empty() *span { return &span{math.MaxInt64, math.MinInt64, p.o.Now()} }

func (p *progress) run(ctx context.Context) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		p.mu.Lock()
		ids := make([]run.ID, 0, len(p.dirty))
		for id, s := range p.dirty {
			if p.o.Now().Sub(s.since) >= unseenEvery || p.o.Publisher.HasViewers(feed.RunTopic(id)) {
				ids = append(ids, id)
			}
		}
		p.mu.Unlock()
		for _, id := range ids {
			if err := p.flush(ctx, id); err != nil && ctx.Err() == nil {
				p.o.Logger.Warn("progress", "run", id, "err", err)
			}
		}
	}
}

// flush stores and publishes the headline and the changed steps of a run. What it could not do stays to be done.
func (p *progress) flush(ctx context.Context, id run.ID) error {
	p.mu.Lock()
	s := p.dirty[id]
	delete(p.dirty, id)
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	err := p.update(ctx, id, *s)
	if errors.Is(err, run.ErrNotFound) { // deleted meanwhile
		return nil
	}
	if err != nil {
		p.mu.Lock()
		if now := p.dirty[id]; now != nil {
			now.from, now.to = min(now.from, s.from), max(now.to, s.to)
		} else {
			p.dirty[id] = s
		}
		p.mu.Unlock()
	}
	return err
}

func (p *progress) update(ctx context.Context, id run.ID, s span) error {
	head, err := p.o.Store.Headline(ctx, id)
	if err != nil {
		return err
	}
	if head.HasLoss {
		head.UpdatedAt = p.o.Now()
		if err := p.o.Store.SaveProgress(ctx, id, head); err != nil {
			return err
		}
	}
	r, err := p.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	topic := feed.RunTopic(id)
	switch {
	case s.to < s.from: // no step has changed
	case s.to-s.from > maxSpan:
		p.o.Publisher.Publish(topic, feed.Gap, struct{}{})
	default:
		samples, err := p.samples(ctx, r, s)
		if err != nil {
			return err
		}
		p.o.Publisher.Publish(topic, feed.SamplesType, samples)
	}
	p.o.Publisher.PublishRun(r)
	return nil
}

// samples reads the changed steps of every live metric into columns.
func (p *progress) samples(ctx context.Context, r run.Run, s span) (feed.Samples, error) {
	out := feed.Samples{Series: map[string]map[string][]*float64{}}
	index := map[int64]int{}
	curves := map[string][]run.CurvePoint{}
	for metric := range live {
		c, err := p.o.Store.CurveBetween(ctx, r.ID, metric, s.from, s.to)
		if err != nil {
			return out, err
		}
		if metric == throughput {
			c = run.Settled(c, r.Progress.Participants)
		}
		curves[metric] = c
		for _, pt := range c {
			index[pt.Step] = 0
		}
	}
	for step := s.from; step <= s.to; step++ {
		if _, ok := index[step]; ok {
			index[step] = len(out.Steps)
			out.Steps = append(out.Steps, step)
		}
	}
	for metric, stats := range live {
		cols := map[string][]*float64{}
		for _, stat := range stats {
			cols[stat] = make([]*float64, len(out.Steps))
		}
		for _, pt := range curves[metric] {
			for stat, v := range map[string]float64{"mean": pt.Mean, "min": pt.Min, "max": pt.Max, "sum": pt.Sum} {
				if cols[stat] != nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
					cols[stat][index[pt.Step]] = &v
				}
			}
		}
		out.Series[metric] = cols
	}
	return out, nil
}
