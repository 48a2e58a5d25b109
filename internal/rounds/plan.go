package rounds

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// tokensStep is how many tokens one worker trains on in one inner step, 0 where the configuration cannot be read.
func tokensStep(r run.Run) int64 {
	req, err := trainconf.RequestOfRun(r)
	if err != nil {
		return 0
	}
	return req.EffectiveConfig().Plan(r.Shape).TokensPerStep / int64(max(1, r.Shape.Nodes))
}

// Report is what is known of a run's rounds, beside what its configuration promised. known is what was measured of the cluster, nil for
// nothing.
func (m *Rounds) Report(r run.Run, known *measure.Known, page mesh.Page) mesh.Report {
	req, err := trainconf.RequestOfRun(r)
	if err != nil {
		out := m.Mesh.Report(page, func(int) int64 { return 0 })
		out.Cut = m.Cut
		return out
	}
	reduced := req.EffectiveConfig().Plan(r.Shape).SyncBytes
	out := m.Mesh.Report(page, func(members int) int64 { return ring(reduced, members) })
	out.Cut = m.Cut
	out.Plan = m.plan(req, known)
	return out
}

// ring is what each of so many workers sends in an all-reduce: see [trainconf.Estimate].
func ring(reduced int64, members int) int64 {
	if members < 2 {
		return 0
	}
	return int64(2 * float64(members-1) / float64(members) * float64(reduced))
}

// worthIt is the least gain that is told.
const worthIt = 1.01

func (m *Rounds) plan(req trainconf.Request, known *measure.Known) *mesh.RoundPlan {
	way, of := slowest(m.Workers, known)
	e := req.Estimate(trainconf.EstimateInput{BandwidthBits: way})
	p := &mesh.RoundPlan{SyncBytes: e.SyncBytes, Bandwidth: way, BandwidthOf: of, SyncSeconds: e.SyncSeconds, ComputeSeconds: e.ComputeSeconds, Options: []mesh.FasterOption{}}
	if e.SyncShare > 0 {
		p.ComputeShare = 1 - e.SyncShare
	}
	u, ok := m.Usual()
	if !ok {
		return p
	}
	p.Rounds, p.AllReduce, p.Compute, p.Wait = u.Rounds, u.Reduce, float64(u.Steps)*u.Step, u.Wait
	p.Share = max(0, p.Compute-p.Wait) / (p.Compute + p.AllReduce)
	p.ActualBandwidth = mesh.Bandwidth(ring(e.Plan.SyncBytes, u.Members), u.Reduce)
	p.Options = append(p.Options, m.innerSteps(u)...)
	if req.EffectiveConfig().Effective("diloco.compression") != "uint8" {
		p.Options = append(p.Options, compression(u, e.SyncBytes)...)
	}
	p.Options = append(p.Options, m.workers()...)
	p.Options = slices.DeleteFunc(p.Options, func(o mesh.FasterOption) bool { return o.Gain < worthIt })
	slices.SortStableFunc(p.Options, func(a, b mesh.FasterOption) int { return cmp.Compare(b.Gain, a.Gain) })
	return p
}

// slowest is the slowest link that was measured between the nodes of workers, 0 for none.
func slowest(workers []run.Worker, known *measure.Known) (bits float64, of string) {
	if known == nil || known.Matrix == nil {
		return 0, ""
	}
	at := known.Matrix.Reports
	var nodes []int
	for i, r := range at {
		if slices.ContainsFunc(workers, func(w run.Worker) bool { return w.NodeID == r.Node.ID }) {
			nodes = append(nodes, i)
		}
	}
	for _, i := range nodes {
		for _, j := range nodes {
			if i == j {
				continue
			}
			if l := known.Matrix.Link(i, j); l != nil && l.Bandwidth > 0 && (bits == 0 || l.Bandwidth < bits) {
				bits = l.Bandwidth
				of = fmt.Sprintf("%s to %s, measured %s", at[i].Node.Name, at[j].Node.Name, l.BandwidthAt.UTC().Format(time.DateOnly))
			}
		}
	}
	return bits, of
}

func (m *Rounds) innerSteps(u mesh.Usual) []mesh.FasterOption {
	n, ok := u.InnerStepsFor()
	if !ok {
		return nil
	}
	o := u.With(n, u.Reduce)
	return []mesh.FasterOption{{
		Setting: "inner_steps", Value: strconv.FormatInt(n, 10), Gain: u.PerStep() / o.PerStep(),
		Caveat:     "Rarer syncs may cost quality: DiLoCo trained with 500 inner steps, and lost little with 1,000 (arXiv:2311.08105).",
		Arithmetic: fmt.Sprintf("%s: %s of the time is steps. %s: %s.", roundOf(u), percent(u.Share()), roundOf(o), percent(o.Share())),
	}}
}

// roundOf is how long a round takes, as a sum.
func roundOf(u mesh.Usual) string {
	return fmt.Sprintf("%d × %s + %s = %s", u.Steps, secs(u.Step), secs(u.Reduce), secs(float64(u.Steps)*u.Step+u.Reduce))
}

// byteOfFloat is how much less uint8 sends than 32-bit floats.
const byteOfFloat = 4

func compression(u mesh.Usual, bytes int64) []mesh.FasterOption {
	o := u.With(u.Steps, u.Reduce/byteOfFloat)
	return []mesh.FasterOption{{
		Setting: "compression", Value: "uint8", Gain: u.PerStep() / o.PerStep(),
		Arithmetic: fmt.Sprintf("A worker sends a quarter of %s: %s / 4 = %s. %s instead of %s.", size(bytes), secs(u.Reduce), secs(o.Reduce), roundOf(o), roundOf(u)),
		Caveat:     "At best: latency and the time to quantize do not shrink. INTELLECT-1 was trained with 8-bit syncs (arXiv:2412.01152).",
	}}
}

func (m *Rounds) workers() []mesh.FasterOption {
	w, ok := m.WithoutSlowest()
	if !ok {
		return nil
	}
	var names []string
	for _, rank := range w.Ranks {
		names = append(names, strconv.Itoa(rank))
	}
	who := "worker " + names[0]
	if len(names) > 1 {
		who = "workers " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
	return []mesh.FasterOption{{
		Setting: "workers", Value: "without " + who, Gain: w.After / w.Before,
		Arithmetic: fmt.Sprintf("Rounds end %s sooner, the mean of the last %d. All workers together: %.3g steps/s instead of %.3g.", secs(w.Saved), w.Rounds, w.After, w.Before),
		Caveat:     "Each outer step then averages fewer workers.",
	}}
}

func secs(v float64) string {
	switch {
	case v < 1:
		return fmt.Sprintf("%.3g ms", v*1000)
	case v >= 1000:
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64) + " s"
	}
	return fmt.Sprintf("%.3g s", v)
}

func percent(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func size(bytes int64) string {
	v, unit := float64(bytes), "B"
	for _, next := range []string{"kB", "MB", "GB", "TB"} {
		if v < 1000 {
			break
		}
		v, unit = v/1000, next
	}
	return fmt.Sprintf("%.3g %s", v, unit)
}
