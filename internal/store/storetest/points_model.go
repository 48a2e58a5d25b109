package storetest

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// model is what a store must answer about the points of one run, kept in the simplest way.
type model map[string]map[int]map[int64]modelPoint // by metric, rank and step

type modelPoint struct {
	value   float64
	at      int64
	attempt int
	exact   bool
}

// commit applies the rule: a later attempt wins, within one an exact value wins, and otherwise the later one.
func (m model) commit(b *store.Batch) {
	for _, p := range b.Points {
		if m[p.Metric] == nil {
			m[p.Metric] = map[int]map[int64]modelPoint{}
		}
		steps := m[p.Metric][b.Rank]
		if steps == nil {
			steps = map[int64]modelPoint{}
			m[p.Metric][b.Rank] = steps
		}
		old, ok := steps[p.Step]
		if ok && (old.attempt > b.Attempt || (old.attempt == b.Attempt && old.exact && !p.Exact)) {
			continue
		}
		steps[p.Step] = modelPoint{p.Value, b.At.UnixMilli(), b.Attempt, p.Exact}
	}
}

func (m model) rewind(from int64) {
	for _, ranks := range m {
		for _, steps := range ranks {
			maps.DeleteFunc(steps, func(step int64, _ modelPoint) bool { return step >= from && step <= store.MaxStep })
		}
	}
}

func (m model) metrics() []string { return slices.Sorted(maps.Keys(m)) }

// points are all those of PointsPage.
func (m model) points(metric string, from int64, after *store.PointPlace) []store.WorkerPoint {
	var out []store.WorkerPoint
	for _, rank := range slices.Sorted(maps.Keys(m[metric])) {
		for _, step := range slices.Sorted(maps.Keys(m[metric][rank])) {
			past := after == nil || rank > after.Rank || (rank == after.Rank && step > after.Step)
			if step >= from && past {
				p := m[metric][rank][step]
				out = append(out, store.WorkerPoint{Rank: rank, Step: step, Value: run.Number(p.value), At: p.at})
			}
		}
	}
	return out
}

func (m model) curve(metric string, from int64) []run.CurvePoint {
	bySteps := map[int64][]modelPoint{}
	for _, rank := range slices.Sorted(maps.Keys(m[metric])) {
		for step, p := range m[metric][rank] {
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

func (m model) headline() run.Progress {
	newest := func(metric string) (out []store.WorkerPoint) {
		for _, rank := range slices.Sorted(maps.Keys(m[metric])) {
			if steps := m[metric][rank]; len(steps) > 0 {
				step := slices.Max(slices.Collect(maps.Keys(steps)))
				out = append(out, store.WorkerPoint{Rank: rank, Step: step, Value: run.Number(steps[step].value)})
			}
		}
		return out
	}
	var p run.Progress
	loss := newest("loss")
	for _, v := range loss {
		p.Step, p.HasLoss = max(p.Step, v.Step), true
		p.Loss += float64(v.Value) / float64(len(loss))
	}
	for _, v := range newest("tokens_per_second") {
		p.TokensPerSec += float64(v.Value)
	}
	return p
}
