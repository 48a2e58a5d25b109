package cli

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type configEstimateCmd struct {
	Local     `embed:""`
	File      string `arg:"" optional:"" placeholder:"FILE" help:"CotrainCore's TOML; - reads it from the standard input. Without it and without --preset, the core's defaults."`
	Preset    string `placeholder:"NAME" help:"Built-in configuration and its shape."`
	Bandwidth string `placeholder:"1Gbit/s" help:"Between workers, in each direction: for the time of a sync."`
	GPUSize   int    `name:"gpu-size" placeholder:"MIB" help:"Memory of one GPU, where it is known better than by the model's name."`
	Changes   `embed:""`
}

// Run prints the estimate, and exits 1 when the configuration is not valid.
func (c *configEstimateCmd) Run(p *process) error {
	if c.File != "" && c.Preset != "" {
		return fault.Usage("a file and --preset do not go together", "give one of them")
	}
	known := trainconf.EstimateInput{GPUMemoryMiB: max(0, c.GPUSize)}
	var err error
	if known.BandwidthBits, err = parseBandwidth(c.Bandwidth); err != nil {
		return err
	}
	src, err := c.source()
	if err != nil {
		return err
	}
	base := draft.Empty()
	if c.Preset != "" {
		preset, ok := trainconf.PresetByName(c.Preset)
		if !ok {
			return trainconf.NoPreset(c.Preset)
		}
		base = trainconf.StartOfPreset(preset)
	}
	var data []byte
	if c.File != "" {
		if data, err = p.readText(c.File, c.File, maxConfigFile, "check that it is CotrainCore's TOML"); err != nil {
			return err
		}
		src.Config = string(data)
	}
	d := src.Apply(base, nil)
	v := d.Validation(false, known)
	switch {
	case c.Format == "json":
		err = p.printJSON(v)
	case !v.Valid:
		err = p.printFaults(cmp.Or(c.File, "configuration"), data, v)
	default:
		err = p.printEstimate(v, known)
	}
	if err == nil && !v.Valid {
		err = errQuiet
	}
	return err
}

func (p *process) printEstimate(v draft.Validation, known trainconf.EstimateInput) error {
	t := p.table()
	plan, e := v.Plan, v.Estimate
	steps := strconv.FormatInt(plan.StepsTotal, 10)
	if plan.InnerSteps > 0 {
		steps += fmt.Sprintf(" in %d outer steps of %d", plan.OuterSteps, plan.InnerSteps)
	}
	t.row("Shape", v.Shape.String())
	t.row("Steps", steps)
	t.row("Tokens", fmt.Sprintf("%d, %d a step", plan.TokensTotal, plan.TokensPerStep))
	t.row("Parameters", strconv.FormatInt(plan.Parameters, 10))
	if peak := peakOf(e.Curve); peak.Step >= 0 {
		t.row("Learning rate", fmt.Sprintf("up to %s, first after step %d", figure(peak.LR), peak.Step))
	}
	t.row("Checkpoints", fmt.Sprintf("%d of %s, %s in all", plan.Checkpoints, bytesText(e.CheckpointBytes), bytesText(e.CheckpointsBytesTotal)))
	if e.SyncBytes > 0 {
		t.row("Sync", bytesText(e.SyncBytes)+" from each worker at each outer step"+syncTime(e, known))
	}
	if m := e.GPUMemory; m.Total > 0 {
		t.row("GPU memory", fmt.Sprintf("about %s on each: weights %s, gradients %s, optimiser %s, activations %s, logits %s",
			bytesText(m.Total), bytesText(m.Weights), bytesText(m.Gradients), bytesText(m.Optimizer), bytesText(m.Activations), bytesText(m.Logits)))
	}
	if e.HostBytes > 0 {
		t.row("Host memory", "about "+bytesText(e.HostBytes)+" for each worker")
	}
	if err := t.flush(); err != nil {
		return err
	}
	p.warn(v.Warnings)
	return nil
}

// syncTime says how long a sync takes, as far as that is known.
func syncTime(e trainconf.Estimate, known trainconf.EstimateInput) string {
	switch {
	case known.BandwidthBits == 0:
		return "; --bandwidth tells how long that takes"
	case e.SyncShare > 0:
		return fmt.Sprintf(", %s s each, %s %% of the time", figure(e.SyncSeconds), figure(math.Round(e.SyncShare*1000)/10))
	}
	return fmt.Sprintf(", %s s each", figure(e.SyncSeconds))
}

func peakOf(curve []trainconf.RatePoint) trainconf.RatePoint {
	peak := trainconf.RatePoint{Step: -1, LR: math.Inf(-1)}
	for _, point := range curve {
		if point.LR > peak.LR {
			peak = point
		}
	}
	return peak
}

var bandwidthForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?(?:[eE][+]?[0-9]+)?)\s*([kKMGT]?)(bit/s|bits/s|bps|b/s|B/s|)$`)

// parseBandwidth reads "1Gbit/s", "500 Mbps", "125MB/s" or a bare number of bits a second; units are decimal. "" is 0, not
// known.
func parseBandwidth(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	wrong := fault.Usage(fmt.Sprintf("--bandwidth %q is not a bandwidth", text), "write 1Gbit/s, 500Mbit/s or 125MB/s, for example")
	m := bandwidthForm.FindStringSubmatch(text)
	if m == nil || m[2] != "" && m[3] == "" {
		return 0, wrong
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, wrong
	}
	v *= map[string]float64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[m[2]]
	if m[3] == "B/s" {
		v *= 8
	}
	if v < 1 || math.IsInf(v, 0) {
		return 0, wrong
	}
	return v, nil
}
