package form

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/form"
	"github.com/cotrain/cotrain/views/ui"
)

// inputBandwidth is for the estimate only: Mbit/s between workers.
const inputBandwidth = "bandwidth"

// maxMbits is a petabit a second.
const maxMbits = 1e9

// bandwidth parses the input; 0 if empty or invalid, then with the problem.
func (d *Draft) bandwidth() (bits float64, problem string) {
	typed := strings.TrimSpace(d.typed[inputBandwidth])
	if typed == "" {
		return 0, ""
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(typed, "_", ""), 64)
	if err != nil || !(v > 0 && v <= maxMbits) {
		return 0, Sentence(run.FieldError{Rule: "bandwidth must be a number of Mbit/s above 0", Fix: "use 1000 for 1 Gbit/s"})
	}
	return v * 1e6, ""
}

// plan estimates the draft.
func (d *Draft) plan(c formContext) view.Plan {
	v := view.Plan{TOML: string(d.Request.Config.TOML()), Command: d.Request.CommandLine(d.project), Bandwidth: page.Text(d.typed[inputBandwidth], 40)}
	if d.Broken {
		v.Problem = "Shown once every value can be read."
	}
	bits, problem := d.bandwidth()
	if problem != "" {
		v.Warnings = append(v.Warnings, problem)
	}
	network := networkOf(bits, d.Request.Shape, c)
	e := d.Request.Estimate(trainconf.EstimateInput{BandwidthBits: network.bits})
	v.Facts = planFacts(d.Request, e, network)
	v.Curve = rateCurve(d.Request, e)
	v.Memory = memoryOf(d.Request, e)
	for _, w := range e.Warnings {
		v.Warnings = append(v.Warnings, Labelled(w))
	}
	return v
}

// network is what is known between the workers of a run.
type network struct {
	bits    float64 // bandwidth, 0 where it is not known
	source  string  // where that is from
	site    string  // where it is the fastest, "" where there is no choice or it is not known
	slowest float64 // bandwidth of the slowest way there
}

// networkOf takes the bandwidth that was typed, or else the slowest that was measured between nodes that the run could get.
func networkOf(typed float64, shape run.Shape, c formContext) network {
	n := network{bits: typed, source: "as given below"}
	if c.measured == nil {
		return n
	}
	demand := measure.Demand{Workers: shape.Nodes, Site: shape.Site, GPUs: shape.GPUs, Model: shape.GPUModel}
	if way, of := c.measured.Slowest(demand); typed == 0 && of > 0 {
		at := c.measured.Reports
		n.bits = way.Bandwidth
		n.source = fmt.Sprintf("slowest of %s, %s to %s, measured %s", ui.Plural(of, "link"), at[way.From].Node.Name, at[way.To].Node.Name, ui.Ago(way.At, c.now))
	}
	if shape.Site == "" {
		site, way := c.measured.FastestSite(demand)
		n.site, n.slowest = site, way.Bandwidth
	}
	return n
}

// planFacts lists the estimates with explanations.
func planFacts(req trainconf.Request, e trainconf.Estimate, net network) []ui.Fact {
	var facts []ui.Fact
	p := e.Plan
	add := func(key, label, value, note string) {
		facts = append(facts, ui.Fact{Key: key, Label: label, Value: value, Note: note})
	}
	note := ""
	if n := req.Shape.TotalGPUs(); n > 0 && req.Shape.Nodes > 1 && n < 1<<24 {
		note = ui.Integer(n) + " GPUs in total"
	}
	add("shape", "Shape", req.Shape.String(), note)
	parameters := ui.Number(float64(p.Parameters))
	if p.ParametersNominal {
		parameters = "about " + parameters
	}
	add("parameters", "Parameters", parameters, "")
	note = ""
	if p.StepsTotal != p.StepsAsked {
		note = ui.Integer(p.StepsAsked) + " asked; rounded up to a whole outer step"
	}
	add("steps", "Steps", ui.Integer(p.StepsTotal), note)
	add("tokens-per-step", "Tokens per step", ui.Number(float64(p.TokensPerStep)), "")
	add("tokens-total", "Total tokens", ui.Number(float64(p.TokensTotal)), "")
	add("accumulation", "Gradient accumulation", strconv.FormatInt(p.GradAccum, 10)+" ×", "micro-batches per step")
	if p.InnerSteps > 0 {
		add("outer-steps", "Outer steps", ui.Integer(p.OuterSteps), "every "+ui.Integer(p.InnerSteps)+" steps")
		add("sync", "Sync volume", ui.Bytes(float64(e.SyncBytes)), "per worker and outer step")
		if net.bits > 0 && e.SyncBytes > 0 {
			add("bandwidth", "Bandwidth", measure.Bits(net.bits), net.source)
			add("sync-time", "Sync time", about(e.SyncSeconds), "at this bandwidth")
			share, note := "unknown", "choose a GPU model to estimate it"
			if e.SyncShare > 0 {
				share, note = fmt.Sprintf("%.3g %%", 100*e.SyncShare), "inner steps take "+about(e.ComputeSeconds)+" at 40 % MFU"
			}
			add("sync-share", "Time spent syncing", share, note)
		}
	}
	if net.site != "" {
		add("fastest-site", "Fastest site", net.site, measure.Bits(net.slowest)+" on its slowest measured link")
	}
	if p.Checkpoints > 0 {
		add("checkpoints", "Checkpoints", ui.Integer(p.Checkpoints), "about "+ui.Bytes(float64(e.CheckpointBytes))+" each, "+ui.Bytes(float64(e.CheckpointsBytesTotal))+" in total")
	}
	if e.HostBytes > 0 {
		add("host-memory", "Host memory", "about "+ui.Bytes(float64(e.HostBytes)), "")
	}
	return facts
}

// about rounds a duration in words.
func about(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3g ms", seconds*1000)
	}
	if seconds > 1e9 {
		return "more than 30 years"
	}
	return ui.Duration(time.Duration(seconds * float64(time.Second)))
}

func rateCurve(req trainconf.Request, e trainconf.Estimate) view.RateCurve {
	c := view.RateCurve{Steps: e.Plan.StepsTotal}
	for _, p := range e.Curve {
		c.Points = append(c.Points, view.RatePoint{Step: p.Step, Rate: p.LR})
		c.Peak = max(c.Peak, p.LR)
	}
	c.Warmup, _ = strconv.ParseInt(req.Value("optim.warmup_steps"), 10, 64) // canonical
	c.Text = fmt.Sprintf("Learning rate: up to %s over %s steps, then %s until step %s.",
		ui.Number(c.Peak), ui.Integer(c.Warmup), req.Value("optim.sched_type"), ui.Integer(c.Steps))
	return c
}

// memoryOf is the bar of a GPU's memory; none without GPUs.
func memoryOf(req trainconf.Request, e trainconf.Estimate) view.MemoryBar {
	m := e.GPUMemory
	bar := view.MemoryBar{Total: m.Total}
	if req.Shape.GPUs == 0 {
		return bar
	}
	bar.Limit = int64(trainconf.GPUMemory(req.Shape)) << 20
	for _, p := range []view.MemoryPart{
		{Label: "Weights", Bytes: m.Weights}, {Label: "Gradients", Bytes: m.Gradients},
		{Label: "Optimiser", Bytes: m.Optimizer}, {Label: "Activations", Bytes: m.Activations},
		{Label: "Logits", Bytes: m.Logits},
	} {
		if p.Bytes > 0 {
			bar.Parts = append(bar.Parts, p)
		}
	}
	return bar
}
