package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// inputBandwidth is of the panel, and not of the run: Mbit/s between workers.
const inputBandwidth = "bandwidth"

// maxMbits bounds it: a petabit a second.
const maxMbits = 1e9

// bandwidth reads what was typed; 0 when it is empty or wrong, and then with what is wrong.
func (d *draft) bandwidth() (bits float64, problem string) {
	typed := strings.TrimSpace(d.typed[inputBandwidth])
	if typed == "" {
		return 0, ""
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(typed, "_", ""), 64)
	if err != nil || !(v > 0 && v <= maxMbits) {
		return 0, sentences(run.FieldError{Rule: "bandwidth must be a number of Mbit/s above 0", Fix: "use 1000 for 1 Gbit/s"})
	}
	return v * 1e6, ""
}

// plan works out what the draft would do.
func (d *draft) plan() views.RunPlan {
	v := views.RunPlan{TOML: string(d.request.Config.TOML()), Command: d.request.CommandLine(), Bandwidth: text(d.typed[inputBandwidth], 40)}
	if d.broken {
		v.Problem = "The configuration appears here once every value can be read."
	}
	bits, problem := d.bandwidth()
	if problem != "" {
		v.Warnings = append(v.Warnings, problem)
	}
	e := d.request.Estimate(trainconf.EstimateInput{BandwidthBits: bits})
	v.Facts = planFacts(d.request, e, bits)
	v.Curve = rateCurve(d.request, e)
	v.Memory = memoryOf(d.request, e)
	for _, w := range e.Warnings {
		v.Warnings = append(v.Warnings, labelled(w))
	}
	return v
}

// planFacts are the numbers, with what they mean.
func planFacts(req trainconf.Request, e trainconf.Estimate, bits float64) []views.Fact {
	var facts []views.Fact
	p := e.Plan
	add := func(key, label, value, note string) {
		facts = append(facts, views.Fact{Key: key, Label: label, Value: value, Note: note})
	}
	note := ""
	if n := req.Shape.TotalGPUs(); n > 0 && req.Shape.Nodes > 1 && n < 1<<24 {
		note = views.Integer(n) + " GPUs in all"
	}
	add("shape", "Shape", req.Shape.String(), note)
	parameters := views.Number(float64(p.Parameters))
	if p.ParametersNominal {
		parameters = "about " + parameters
	}
	add("parameters", "Parameters", parameters, "")
	note = ""
	if p.StepsTotal != p.StepsAsked {
		note = views.Integer(p.StepsAsked) + " asked; DiLoCo ends with a whole outer step"
	}
	add("steps", "Steps", views.Integer(p.StepsTotal), note)
	add("tokens-per-step", "Tokens per step", views.Number(float64(p.TokensPerStep)), "")
	add("tokens-total", "Tokens in all", views.Number(float64(p.TokensTotal)), "")
	add("accumulation", "Gradient accumulation", strconv.FormatInt(p.GradAccum, 10)+" ×", "micro-batches of one GPU in a step")
	if p.InnerSteps > 0 {
		add("outer-steps", "Outer steps", views.Integer(p.OuterSteps), "one every "+views.Integer(p.InnerSteps)+" steps")
		add("sync", "Sync volume", views.Bytes(float64(e.SyncBytes)), "sent by each worker at each outer step")
		if bits > 0 && e.SyncBytes > 0 {
			add("sync-time", "Time of a sync", about(e.SyncSeconds), "at this bandwidth")
			share, note := "not known", "name a GPU model to compare it with the time of training"
			if e.SyncShare > 0 {
				share, note = fmt.Sprintf("%.3g %%", 100*e.SyncShare), "inner steps take "+about(e.ComputeSeconds)+" at 40 % MFU"
			}
			add("sync-share", "Share of time syncing", share, note)
		}
	}
	if p.Checkpoints > 0 {
		add("checkpoints", "Checkpoints", views.Integer(p.Checkpoints), "about "+views.Bytes(float64(e.CheckpointBytes))+" each, "+views.Bytes(float64(e.CheckpointsBytesTotal))+" in all")
	}
	if e.HostBytes > 0 {
		add("host-memory", "Memory of each host", "about "+views.Bytes(float64(e.HostBytes)), "")
	}
	return facts
}

// about is a time as a person says it.
func about(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3g ms", seconds*1000)
	}
	if seconds > 1e9 {
		return "more than 30 years"
	}
	return views.Duration(time.Duration(seconds * float64(time.Second)))
}

func rateCurve(req trainconf.Request, e trainconf.Estimate) views.RateCurve {
	c := views.RateCurve{Steps: e.Plan.StepsTotal}
	for _, p := range e.Curve {
		c.Points = append(c.Points, views.RatePoint{Step: p.Step, Rate: p.LR})
		c.Peak = max(c.Peak, p.LR)
	}
	c.Warmup, _ = strconv.ParseInt(req.Value("optim.warmup_steps"), 10, 64) // canonical
	c.Text = fmt.Sprintf("The learning rate rises to %s over %s steps and then follows the schedule %s until step %s.",
		views.Number(c.Peak), views.Integer(c.Warmup), req.Value("optim.sched_type"), views.Integer(c.Steps))
	return c
}

// memoryOf is the bar of what a GPU holds; none without GPUs.
func memoryOf(req trainconf.Request, e trainconf.Estimate) views.MemoryBar {
	m := e.GPUMemory
	bar := views.MemoryBar{Total: m.Total}
	if req.Shape.GPUs == 0 {
		return bar
	}
	bar.Limit = int64(trainconf.GPUMemory(req.Shape)) << 20
	for _, p := range []views.MemoryPart{
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
