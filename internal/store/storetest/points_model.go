package storetest

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/points"
)

// model is what a store must answer about the points of one run, kept in the simplest way.
type model struct {
	points map[string]map[int]map[int64]modelPoint // by metric, rank and step
	first  map[int]int64                           // by attempt from the second on: the lowest step of a curve that it has reported
	step   int64                                   // of the stored headline

	replaced map[replacedKey]modelPoint // what a later attempt has repeated
	covered  map[replacedKey]bool       // what a point of a later attempt took the place of otherwise: it may be kept, too
}

type replacedKey struct {
	metric        string
	attempt, rank int
	step          int64
}

func newModel() *model {
	return &model{points: map[string]map[int]map[int64]modelPoint{}, first: map[int]int64{}, replaced: map[replacedKey]modelPoint{}, covered: map[replacedKey]bool{}}
}

type modelPoint struct {
	value   float64
	at      int64
	attempt int
	exact   bool
}

// commit applies the rules: a step that a later attempt has trained again is gone, a later attempt wins, within one an exact
// value wins, and otherwise the later one.
func (m *model) commit(b *store.Batch) {
	wanted := slices.DeleteFunc(slices.Clone(b.Points), func(p points.Point) bool { return m.gone(b.Attempt, p.Step) })
	for _, p := range wanted {
		before, known := m.first[b.Attempt]
		if b.Attempt > 1 && slices.Contains(points.CurveMetrics(), p.Metric) && (!known || p.Step < before) {
			m.first[b.Attempt] = p.Step
			m.step = min(m.step, p.Step-1)
		}
	}
	for metric, ranks := range m.points {
		for rank, steps := range ranks {
			maps.DeleteFunc(steps, func(step int64, p modelPoint) bool {
				gone := m.gone(p.attempt, step)
				if gone {
					m.replaced[replacedKey{metric, p.attempt, rank, step}] = p
				}
				return gone
			})
		}
	}
	for _, p := range wanted {
		m.add(b, p)
	}
}

// gone reports whether a later attempt has trained a step again.
func (m *model) gone(attempt int, step int64) bool {
	for later, from := range m.first {
		if later > attempt && step >= from && step <= run.MaxStep {
			return true
		}
	}
	return false
}

func (m *model) add(b *store.Batch, p points.Point) {
	if m.points[p.Metric] == nil {
		m.points[p.Metric] = map[int]map[int64]modelPoint{}
	}
	steps := m.points[p.Metric][b.Rank]
	if steps == nil {
		steps = map[int64]modelPoint{}
		m.points[p.Metric][b.Rank] = steps
	}
	old, ok := steps[p.Step]
	if ok && old.attempt != b.Attempt { // one of the two is not seen
		m.covered[replacedKey{p.Metric, min(old.attempt, b.Attempt), b.Rank, p.Step}] = true
	}
	if !ok || old.attempt < b.Attempt || (old.attempt == b.Attempt && (p.Exact || !old.exact)) {
		steps[p.Step] = modelPoint{p.Value, b.At.UnixMilli(), b.Attempt, p.Exact}
	}
}

func (m *model) metrics() []string { return slices.Sorted(maps.Keys(m.points)) }

// points are all those of PointsPage.
func (m *model) page(metric string, from int64, after *points.PageCursor) []points.WorkerPoint {
	var out []points.WorkerPoint
	for _, rank := range slices.Sorted(maps.Keys(m.points[metric])) {
		for _, step := range slices.Sorted(maps.Keys(m.points[metric][rank])) {
			past := after == nil || rank > after.Rank || (rank == after.Rank && step > after.Step)
			if step >= from && past {
				p := m.points[metric][rank][step]
				out = append(out, points.WorkerPoint{Rank: rank, Step: step, Value: run.Number(p.value), At: p.at})
			}
		}
	}
	return out
}

// of is the curve of one worker, or of all.
func (m *model) of(metric string, worker int) []run.CurvePoint {
	if worker == points.AllWorkers {
		return m.curve(metric, math.MinInt64)
	}
	alone := model{points: map[string]map[int]map[int64]modelPoint{metric: {worker: m.points[metric][worker]}}}
	return alone.curve(metric, math.MinInt64)
}

func (m *model) curve(metric string, from int64) []run.CurvePoint {
	bySteps := map[int64][]modelPoint{}
	for _, rank := range slices.Sorted(maps.Keys(m.points[metric])) {
		for step, p := range m.points[metric][rank] {
			if step >= from {
				bySteps[step] = append(bySteps[step], p)
			}
		}
	}
	var out []run.CurvePoint
	for _, step := range slices.Sorted(maps.Keys(bySteps)) {
		c := run.CurvePoint{Step: step, Min: math.Inf(1), Max: math.Inf(-1)}
		for _, p := range bySteps[step] {
			c.Workers++
			c.Sum += p.value
			c.Min, c.Max = min(c.Min, p.value), max(c.Max, p.value)
			if at := time.UnixMilli(p.at).UTC(); at.After(c.At) {
				c.At = at
			}
		}
		if math.IsNaN(c.Min) {
			c.Sum = math.NaN()
		}
		c.Mean = c.Sum / float64(c.Workers)
		out = append(out, c)
	}
	return out
}

// headline is the point of the curves at the newest step that all workers of the newest attempt have reported but those far
// behind; the stored one is never ahead of it.
func (m *model) headline() run.Progress {
	const far = 100
	attempt := 1
	for later := range m.first {
		attempt = max(attempt, later)
	}
	p := run.Progress{Step: m.step}
	for _, metric := range points.CurveMetrics() {
		var newest []int64
		for _, steps := range m.points[metric] {
			if len(steps) == 0 {
				continue
			}
			if step := slices.Max(slices.Collect(maps.Keys(steps))); steps[step].attempt == attempt {
				newest = append(newest, step)
			}
		}
		if len(newest) > 0 {
			most := slices.Max(newest)
			newest = slices.DeleteFunc(newest, func(step int64) bool { return step < most-far })
			p.Step = max(p.Step, slices.Min(newest))
			break
		}
	}
	loss, rate := m.last("loss", p.Step), m.last("tokens_per_second", p.Step)
	return run.Progress{Step: max(loss.Step, rate.Step), Loss: loss.Mean, HasLoss: loss.Workers > 0, TokensPerSec: rate.Sum}
}

// last is the last point of a curve up to a step.
func (m *model) last(metric string, to int64) (last run.CurvePoint) {
	for _, p := range m.curve(metric, 0) {
		if p.Step <= to {
			last = p
		}
	}
	return last
}

// summaries are of the whole curves, and up to the headline of those that it is taken from.
func (m *model) summaries() []points.Summary {
	var out []points.Summary
	for _, metric := range m.metrics() {
		s := points.Summary{Metric: metric, Low: math.NaN(), High: math.NaN()}
		for _, p := range m.settled(metric) {
			if s.Points == 0 {
				s.First = p.Step
			}
			s.Points++
			value := p.Mean
			if metric == "tokens_per_second" {
				value = p.Sum
			}
			s.Workers, s.Last, s.Value = max(s.Workers, p.Workers), p.Step, value
			if math.IsNaN(value) || math.IsInf(value, 0) {
				continue
			}
			if math.IsNaN(s.Low) || value < s.Low {
				s.Low, s.LowStep = value, p.Step
			}
			if math.IsNaN(s.High) || value > s.High {
				s.High, s.HighStep = value, p.Step
			}
		}
		if s.Points > 0 {
			out = append(out, s)
		}
	}
	return out
}

// shape reports whether a metric has a small curve.
func (m *model) shape(metric string) bool {
	return metric == "loss" && slices.ContainsFunc(m.settled(metric), func(p run.CurvePoint) bool {
		return !math.IsNaN(p.Min) && (!math.IsInf(p.Min, 0) || !math.IsInf(p.Max, 0))
	})
}

func (m *model) settled(metric string) []run.CurvePoint {
	curve := m.curve(metric, math.MinInt64)
	if slices.Contains(points.CurveMetrics(), metric) {
		curve = run.Settled(curve, m.step)
	}
	return curve
}
