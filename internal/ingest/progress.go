package ingest

import (
	"context"
	"errors"
	"math"
	"slices"
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
)

// throughput is summed over workers.
const throughput = "tokens_per_second"

// shown is what viewers get of each curve, step by step.
var shown = map[string][]string{"loss": {"mean", "min", "max"}, throughput: {"sum"}}

// progress derives headlines and curve updates from what is stored. It holds nothing that cannot be derived again.
type progress struct {
	o     Options
	mu    sync.Mutex
	dirty map[run.ID]time.Time // since when

	flushing sync.Mutex // one at a time: see store.RollUp
}

func newProgress(o Options) *progress { return &progress{o: o, dirty: map[run.ID]time.Time{}} }

// touch asks for the run's headline and curves to be brought up to date soon. What has changed is in the store.
func (p *progress) touch(id run.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.dirty[id]; !ok {
		p.dirty[id] = p.o.Now()
	}
}

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
		for id, since := range p.dirty {
			if p.o.Now().Sub(since) >= unseenEvery || p.o.Publisher.HasViewers(feed.RunTopic(id)) {
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

// catchUp brings the curves up to date that an earlier console left behind: it was killed, or stored them in another way.
func (p *progress) catchUp(ctx context.Context) {
	ids, err := p.o.Store.UnrolledRuns(ctx)
	for _, id := range ids {
		if err == nil {
			err = p.catchUpRun(ctx, id)
		}
	}
	if err != nil && ctx.Err() == nil {
		p.o.Logger.Warn("curves of an earlier console", "err", err)
	}
}

func (p *progress) catchUpRun(ctx context.Context, id run.ID) error {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	r, err := p.o.Store.Run(ctx, id)
	if err == nil {
		err = p.rollUp(ctx, r)
	}
	if errors.Is(err, run.ErrNotFound) { // deleted meanwhile
		return nil
	}
	return err
}

// flush stores and publishes the headline and the changed steps of a run. What it could not do stays to be done.
func (p *progress) flush(ctx context.Context, id run.ID) error {
	p.mu.Lock()
	delete(p.dirty, id)
	p.mu.Unlock()
	p.flushing.Lock()
	err := p.update(ctx, id)
	p.flushing.Unlock()
	if errors.Is(err, run.ErrNotFound) { // deleted meanwhile
		return nil
	}
	if err != nil {
		p.touch(id)
	}
	return err
}

func (p *progress) update(ctx context.Context, id run.ID) error {
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
	if err := p.rollUp(ctx, r); err != nil {
		return err
	}
	p.o.Publisher.PublishRun(r)
	return nil
}

// rollUp brings a run's curves up to date and publishes what has changed.
func (p *progress) rollUp(ctx context.Context, r run.Run) error {
	for {
		rolled, changed, err := p.o.Store.RollUp(ctx, r.ID)
		if err != nil {
			return err
		}
		if changed {
			p.o.Publisher.Publish(feed.RunTopic(r.ID), feed.SamplesType, samples(r, rolled))
		}
		if !rolled.More {
			return nil
		}
	}
}

// samples puts the changed steps of every curve into columns.
func samples(r run.Run, rolled store.RollUp) feed.Samples {
	out := feed.Samples{Series: map[string]map[string][]*float64{}}
	curves := map[string][]run.CurvePoint{}
	for metric := range shown {
		curve := rolled.Curves[metric]
		if metric == throughput {
			curve = run.Settled(curve, r.Progress.Participants)
		}
		curves[metric] = curve
		for _, pt := range curve {
			out.Steps = append(out.Steps, pt.Step)
		}
	}
	slices.Sort(out.Steps)
	out.Steps = slices.Compact(out.Steps)
	for metric, stats := range shown {
		cols := map[string][]*float64{}
		for _, stat := range stats {
			cols[stat] = make([]*float64, len(out.Steps))
		}
		for _, pt := range curves[metric] {
			i, _ := slices.BinarySearch(out.Steps, pt.Step)
			for stat, v := range map[string]float64{"mean": pt.Mean, "min": pt.Min, "max": pt.Max, "sum": pt.Sum} {
				if cols[stat] != nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
					cols[stat][i] = &v
				}
			}
		}
		out.Series[metric] = cols
	}
	return out
}
