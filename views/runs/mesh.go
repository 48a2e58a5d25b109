package runs

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
	"github.com/cotrain/cotrain/views/charts"
	"github.com/cotrain/cotrain/views/ui"
)

// Mesh is the outer steps of a run.
type Mesh struct {
	Run    run.Run
	Report mesh.Report
	Before int // the page of rounds is of those before this one, 0 for the newest
	Health []HealthChart
	Now    time.Time
}

// HealthChart is a chart of what pseudo-gradients tell, with how to read it.
type HealthChart struct {
	Figure charts.Figure
	Rule   string
	Source string // of the rule, "" where it is arithmetic
	URL    string
}

// Sources of the rules.
const (
	diLoCo     = "DiLoCo, arXiv:2311.08105"
	diLoCoURL  = "https://arxiv.org/abs/2311.08105"
	openDiLoCo = "OpenDiLoCo, arXiv:2407.07852"
	openURL    = "https://arxiv.org/abs/2407.07852"
)

// health are the rules, by metric, in the order in which their charts come.
var health = []struct {
	metrics            []string
	title              string
	rule, source, link string
}{
	{[]string{"diloco/pseudo_gradient_norm", "diloco/mean_pseudo_gradient_norm"}, "Norm of pseudo-gradients",
		"Falls with the learning rate and levels off. The mean is shorter than a worker's own, as far as workers differ. A worker whose norm is far above the others' trains on odd data or diverges.", "", ""},
	{[]string{"diloco/cosine"}, "Cosine to the mean",
		"Of n unrelated pseudo-gradients of one length it is 1/√n, of equal ones 1. Near 1/√n workers no longer learn the same: sync more often. Near 1 they could sync more rarely.", "", ""},
	{[]string{"diloco/drift"}, "Drift between workers",
		"Distance of a worker from the mean, as a share of the mean's length; of n unrelated ones √(n−1). It grows with inner_steps and with data that differs. DiLoCo trained with 500 steps between syncs, and lost little with 1,000.", diLoCo, diLoCoURL},
	{[]string{"diloco/outer_lr"}, "Outer learning rate",
		"0.7 with Nesterov momentum of 0.9 is what DiLoCo found best, and OpenDiLoCo trained with.", openDiLoCo, openURL},
}

// HealthCharts are the charts of those metrics that a run has; metrics of diloco/ without a rule come last.
func HealthCharts(names []string) []HealthChart {
	var out []HealthChart
	known := map[string]bool{}
	for _, h := range health {
		var have []string
		for _, m := range h.metrics {
			known[m] = true
			if slices.Contains(names, m) {
				have = append(have, m)
			}
		}
		if len(have) > 0 {
			out = append(out, HealthChart{charts.Figure{ID: chartID(have[0]), Title: h.title, Metrics: have}, h.rule, h.source, h.link})
		}
	}
	const others = 12
	for _, m := range names {
		if strings.HasPrefix(m, "diloco/") && !known[m] && len(out) < others {
			out = append(out, HealthChart{Figure: charts.Figure{ID: chartID(m), Title: run.KnownMetric(m).Title, Metrics: []string{m}}})
		}
	}
	return out
}

func chartID(metric string) string {
	return "chart-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, metric)
}

// newest is the newest round, if the page has it.
func (m Mesh) newest() (r mesh.RoundRow, ok bool) {
	if m.Before == 0 && len(m.Report.Rounds) > 0 {
		return m.Report.Rounds[0], true
	}
	return r, false
}

// outerText is how many outer steps are done, of those there are.
func (m Mesh) outerText() string {
	n := m.Run.Progress.Step / m.Run.InnerSteps
	if r, ok := m.newest(); ok {
		n = max(n, r.Step/m.Run.InnerSteps)
	}
	done := ui.Integer(n)
	if m.Run.StepsTotal <= 0 {
		return done
	}
	return done + " / " + ui.Integer(m.Run.StepsTotal/m.Run.InnerSteps)
}

// stat is one number of the newest round, or of its plan.
func (m Mesh) stat(of func(r mesh.RoundRow) string) string {
	if r, ok := m.newest(); ok {
		return of(r)
	}
	return ui.Absent
}

func (m Mesh) shareText(share float64) string {
	if m.Report.Total == 0 {
		return ui.Absent
	}
	return percentText(share)
}

func percentText(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// straggler names a round's last worker.
func straggler(r mesh.RoundRow) string {
	if r.Straggler < 0 {
		return ui.Absent
	}
	return "worker " + strconv.Itoa(r.Straggler)
}

func (m Mesh) stragglerText() string {
	return m.stat(func(r mesh.RoundRow) string {
		if r.Straggler < 0 {
			return ui.Absent
		}
		return strconv.Itoa(r.Straggler)
	})
}

func bitsText(v float64) string {
	if v <= 0 {
		return ui.Absent
	}
	return measure.Bits(v)
}

func bytesText(n int64) string {
	if n <= 0 {
		return ui.Absent
	}
	return ui.Bytes(float64(n))
}

// ranked are the workers, those that cost most first.
func (m Mesh) ranked() []mesh.Totals {
	out := slices.Clone(m.Report.Workers)
	slices.SortStableFunc(out, func(a, b mesh.Totals) int { return cmp.Compare(b.Cost, a.Cost) })
	return out
}

// most is the greatest cost of a worker, for bars.
func (m Mesh) most() float64 {
	most := 0.0
	for _, w := range m.Report.Workers {
		most = max(most, w.Cost)
	}
	return most
}

// clockText is by how much a worker's clock is ahead of worker 0's.
func clockText(w mesh.Totals) string {
	if w.Offset == nil {
		return ui.Absent
	}
	off, wrong, unit := *w.Offset, max(w.OffsetError, 0.001), "s"
	if max(math.Abs(off), wrong) < 1 {
		off, wrong, unit = 1000*off, 1000*wrong, "ms"
	}
	return fmt.Sprintf("%+.3g ± %.2g %s", off, wrong, unit)
}

// roundPath is where the log has the end of a round.
func (m Mesh) logPath(r mesh.RoundRow) string {
	path := TabLogs.Path(m.Run.ID) + "?step=" + strconv.FormatInt(r.Step, 10) + "&metric=sync_seconds"
	if r.Straggler >= 0 {
		path += "&worker=" + strconv.Itoa(r.Straggler)
	}
	return path
}

// metricsPath is the tab of metrics, at a round's steps.
func (m Mesh) metricsPath(r mesh.RoundRow) string {
	return fmt.Sprintf("%s?from=%d&to=%d", TabMetrics.Path(m.Run.ID), max(0, r.Step-2*r.Steps), r.Step+r.Steps)
}

// troubled reports whether something went wrong in a round of the page.
func (m Mesh) troubled() bool {
	return slices.ContainsFunc(m.Report.Rounds, func(r mesh.RoundRow) bool { return trouble(r) != "" })
}

// attempts reports whether the run has had more than one, so that rounds say of which they are.
func (m Mesh) attempts() bool { return m.Run.Attempt > 1 }

// compared is what was planned beside what happened.
type compared struct{ key, label, planned, actual, note string }

func (m Mesh) compared() []compared {
	p := m.Report.Plan
	known := func(v float64, text string) string {
		if v <= 0 {
			return ui.Absent
		}
		return text
	}
	return []compared{
		{"sync", "All-reduce", known(p.SyncSeconds, secondsText(p.SyncSeconds)), known(p.AllReduce, secondsText(p.AllReduce)), "without waiting"},
		{"compute", "Inner steps", known(p.ComputeSeconds, secondsText(p.ComputeSeconds)), known(p.Compute, secondsText(p.Compute)), "of the straggler"},
		{"wait", "Waiting", ui.Absent, known(p.Compute, secondsText(p.Wait)), "mean over workers"},
		{"share", "Computing", known(p.ComputeShare, percentText(p.ComputeShare)+" %"), known(p.Compute, percentText(p.Share)+" %"), "share of the time"},
		{"bandwidth", "Bandwidth", bitsText(p.Bandwidth), bitsText(p.ActualBandwidth), p.BandwidthOf},
	}
}

// secondsText is a duration with its unit.
func secondsText(v float64) string {
	switch {
	case v < 1:
		return ui.Number(v*1000) + " ms"
	case v >= 600:
		return ui.Duration(time.Duration(v * float64(time.Second)))
	}
	return ui.Number(v) + " s"
}

// sumText is a span of time of all workers together.
func sumText(v float64) string {
	if v == 0 {
		return "0 s"
	}
	return secondsText(v)
}

func gainText(gain float64) string {
	if gain < 1 {
		return fmt.Sprintf("−%.1f %%", 100*(1-gain))
	}
	return fmt.Sprintf("+%.1f %%", 100*(gain-1))
}

func retries(n int) string {
	if n == 1 {
		return "1 retry"
	}
	return ui.Integer(n) + " retries"
}
