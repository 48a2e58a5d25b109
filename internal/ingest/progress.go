package ingest

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// progressEvery is how often a watched run's headline and curves are published, unseenEvery an unwatched one's.
	progressEvery = 100 * time.Millisecond
	unseenEvery   = time.Second
)

// shown is what viewers get of each curve.
var shown = map[string][]string{"loss": {"mean", "min", "max"}, "tokens_per_second": {"sum"}}

// progress derives headlines and curve updates from the store. All its state can be derived again.
type progress struct {
	o     Options
	mu    sync.Mutex
	dirty map[run.ID]time.Time // since when

	flushing sync.Mutex // one at a time: see points.RollUp
}

func newProgress(o Options) *progress { return &progress{o: o, dirty: map[run.ID]time.Time{}} }

// touch marks a run's headline and curves as stale.
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
	failing := map[run.ID]*complaint{} // runs whose last flush failed
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
			err := p.flush(ctx, id)
			switch {
			case ctx.Err() != nil:
				return nil
			case err == nil:
				delete(failing, id)
				continue
			case failing[id] == nil:
				failing[id] = &complaint{}
			}
			failing[id].about(p.o.Logger.With("run", id), "progress", err)
		}
	}
}

// catchUp updates curves that an earlier console left stale.
func (p *progress) catchUp(ctx context.Context) {
	ids, err := p.o.Store.StaleCurves(ctx)
	errs := []error{err}
	for _, id := range ids {
		errs = append(errs, p.catchUpRun(ctx, id))
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		p.o.Logger.Warn("curves of an earlier console", "err", err)
	}
}

func (p *progress) catchUpRun(ctx context.Context, id run.ID) error {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	err := p.update(ctx, id)
	if errors.Is(err, fault.ErrNotFound) { // deleted meanwhile
		return nil
	}
	return err
}

// flush stores and publishes a run's headline and changed steps. What fails stays stale.
func (p *progress) flush(ctx context.Context, id run.ID) error {
	p.mu.Lock()
	delete(p.dirty, id)
	p.mu.Unlock()
	p.flushing.Lock()
	err := p.update(ctx, id)
	p.flushing.Unlock()
	if errors.Is(err, fault.ErrNotFound) { // deleted meanwhile
		return nil
	}
	if err != nil {
		p.touch(id)
	}
	return err
}

// update rolls up the curves before the headline, which is a point of them.
func (p *progress) update(ctx context.Context, id run.ID) error {
	before, err := p.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	changed, err := p.rollUp(ctx, id)
	if err != nil {
		return err
	}
	head, err := p.o.Store.Headline(ctx, id)
	if err != nil {
		return err
	}
	if was := before.Progress; head.Step > 0 || head.HasLoss || was.HasLoss {
		if changed.any || head.Step != was.Step {
			head.UpdatedAt = p.o.Now()
			if err := p.o.Store.SaveProgress(ctx, id, head); err != nil {
				return err
			}
		}
		if err := p.publish(ctx, id, changed, before.Progress.Step, head.Step); err != nil {
			return err
		}
	}
	now, err := p.o.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	p.o.Publisher.PublishRun(now)
	return nil
}

// rolled is the changed part of a run's curves.
type rolled struct {
	any  bool
	much bool // more than one RollUp
	part points.RollUp
}

func (p *progress) rollUp(ctx context.Context, id run.ID) (r rolled, err error) {
	for more := true; more; {
		part, changed, err := p.o.Store.RollUp(ctx, id)
		if err != nil {
			return r, err
		}
		r.any, r.much = r.any || changed, r.much || part.More
		r.part, more = part, part.More
	}
	return r, nil
}

// gapSteps is the most unpublished steps sent one by one.
const gapSteps = 2000

// publish sends viewers the curves up to the headline: changed steps, and those that were ahead of it before.
func (p *progress) publish(ctx context.Context, id run.ID, r rolled, before, now int64) error {
	topic := feed.RunTopic(id)
	from := before + 1
	if r.any {
		from = min(from, r.part.From)
	}
	switch {
	case r.much || now-from >= gapSteps:
		p.o.Publisher.Publish(topic, feed.Gap, struct{}{})
		return nil
	case from > now:
		return nil
	}
	curves := r.part.Curves
	if !r.any || from < r.part.From {
		curves = map[string][]run.CurvePoint{}
		for metric := range shown {
			var err error
			if curves[metric], err = p.o.Store.Curve(ctx, id, metric, from); err != nil {
				return err
			}
		}
	}
	p.o.Publisher.Publish(topic, feed.SamplesType, samples(curves, now))
	return nil
}

// samples puts the curves up to a step into columns.
func samples(whole map[string][]run.CurvePoint, to int64) feed.Samples {
	out := feed.Samples{Series: map[string]map[string][]*float64{}}
	curves := map[string][]run.CurvePoint{}
	for metric := range shown {
		curves[metric] = run.Settled(whole[metric], to)
		for _, pt := range curves[metric] {
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
