package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/views/ui"
)

type clusterMeasureCmd struct {
	Node []string `placeholder:"NAME" help:"Only this node, by name or ID; may be repeated. All that take work if left out."`
	Site string   `placeholder:"SITE" help:"Only the nodes of this datacenter."`
	Last bool     `help:"Show what is known, without measuring."`

	Remote `embed:""`
}

// Run measures, and prints what is known and what is wrong. It fails if anything is.
func (c *clusterMeasureCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Last {
		return p.measureAndPrint(ctx, cl, client.MeasureInput{Nodes: c.Node, Site: c.Site}, c.Format)
	}
	known, err := cl.Measured(ctx)
	if err != nil {
		return err
	}
	return p.reportMeasured(known, c.Format)
}

// measureAndPrint measures, waits for the end, and prints what is known then. It fails if anything is wrong.
func (p *process) measureAndPrint(ctx context.Context, cl *client.Client, in client.MeasureInput, format string) error {
	known, err := p.measureCluster(ctx, cl, in)
	if err != nil {
		return err
	}
	return p.reportMeasured(known, format)
}

func (p *process) reportMeasured(known client.Measured, format string) error {
	show := p.printMeasured
	if format == "json" {
		show = func(known client.Measured) error { return p.printJSON(known) }
	}
	err := show(known)
	if err == nil && measuredBadly(known) {
		err = errQuiet
	}
	return err
}

// measuredBadly reports whether anything is wrong.
func measuredBadly(known client.Measured) bool {
	return len(known.Problems) > 0 || known.Last != nil && (known.Last.State == measure.Failed || known.Last.Problem != "")
}

// measureCluster measures, waits for the end, and returns what is known then.
func (p *process) measureCluster(ctx context.Context, cl *client.Client, in client.MeasureInput) (client.Measured, error) {
	m, err := cl.Measure(ctx, in)
	if err != nil {
		return client.Measured{}, err
	}
	p.say("measuring %s, until %s at the latest", ui.Plural(len(m.Nodes), "node"), m.EndsBy.Local().Format(time.TimeOnly))
	defer func() {
		if ctx.Err() != nil {
			p.stopMeasuring(context.WithoutCancel(ctx), cl, m.ID)
		}
	}()
	for {
		if err := p.wait(ctx, p.poll); err != nil {
			return client.Measured{}, err
		}
		known, err := patiently(ctx, p, consoleAway, func() (client.Measured, error) { return cl.Measured(ctx) })
		if err != nil {
			return known, err
		}
		if known.Last == nil || known.Last.ID != m.ID || !known.Last.State.Active() {
			return known, nil
		}
	}
}

// stopFor is how long an interrupted command tries to stop what it has started.
const stopFor = 10 * time.Second

// stopMeasuring stops a measurement whose command is interrupted, and says whether that went well.
func (p *process) stopMeasuring(ctx context.Context, cl *client.Client, id string) {
	ctx, cancel := context.WithTimeout(ctx, stopFor)
	defer cancel()
	switch err := cl.StopMeasurement(ctx, id); {
	case err == nil:
		p.say("the measurement is stopped")
	case !errors.Is(err, fault.ErrConflict): // it has ended
		p.say("the measurement goes on, for it cannot be stopped: %v", err)
	}
}

// consoleAway is how long the console may be away while it measures: it takes up where it was.
const consoleAway = 5 * time.Minute

// mostColumns is up to how many nodes each way is printed.
const mostColumns = 6

// printMeasured prints sites, ways or nodes, and what is wrong.
func (p *process) printMeasured(known client.Measured) error {
	m := measure.NewMatrix(slices.Clone(known.Nodes))
	now := p.now()
	if len(m.Reports) == 0 {
		p.say("nothing has been measured yet")
	} else if err := p.printMatrix(m, now); err != nil {
		return err
	}
	if last := known.Last; last != nil && last.Problem != "" {
		p.say("%s", last.Problem)
	}
	for _, problem := range known.Problems {
		if err := p.print("%s: %s %s\n", strings.ToUpper(problem.Kind), p.text(problem.What), problem.Fix); err != nil {
			return err
		}
	}
	if len(m.Reports) > 0 && !measuredBadly(known) {
		p.say("nothing is wrong")
	}
	return nil
}

func (p *process) printMatrix(m *measure.Matrix, now time.Time) error {
	if len(m.Sites()) > 1 {
		t := p.table("FROM SITE", "TO SITE", "ROUND TRIP", "BANDWIDTH", "SLOWEST", "AGE")
		for _, row := range m.BetweenSites() {
			for _, s := range row {
				if s.Known > 0 {
					t.row(s.From, s.To, tripOr(s.RoundTrip), bitsOr(s.Bandwidth), bitsOr(s.Slowest.Bandwidth), ui.Duration(now.Sub(s.At)))
				}
			}
		}
		if err := t.flush(); err != nil {
			return err
		}
	}
	if len(m.Reports) <= mostColumns {
		if err := p.printWays(m, now); err != nil {
			return err
		}
	}
	return p.printMeasuredNodes(m)
}

func (p *process) printWays(m *measure.Matrix, now time.Time) error {
	t := p.table("FROM", "TO", "ROUND TRIP", "JITTER", "BANDWIDTH", "AGE", "PROBLEM")
	for i := range m.Reports {
		for j := range m.Reports {
			l := m.Link(i, j)
			if l == nil {
				continue
			}
			problem := cmp.Or(l.Error, l.BandwidthError)
			if len(l.Closed) > 0 {
				problem = "closed ports: " + strings.Join(l.Closed, ", ")
			}
			t.row(m.Reports[i].Node.Name, m.Reports[j].Node.Name, tripOr(l.RoundTrip), tripOr(l.Jitter), bitsOr(l.Bandwidth), ui.Duration(now.Sub(l.At)), setOr(problem))
		}
	}
	return t.flush()
}

func (p *process) printMeasuredNodes(m *measure.Matrix) error {
	t := p.table("NODE", "SITE", "ROUND TRIP", "BANDWIDTH", "SLOWEST TO", "CLOCK", "DISK WRITE", "READ", "SHARED WRITE", "READ", "GPUS")
	skews, ok := m.Skews()
	for i, r := range m.Reports {
		s := m.OfNode(i)
		slowest, clock := "-", "-"
		if s.Slowest.Bandwidth > 0 {
			slowest = m.Reports[s.Slowest.To].Node.Name + " " + measure.Bits(s.Slowest.Bandwidth)
		}
		if ok[i] {
			clock = measure.Skew(skews[i])
		}
		shared := measure.Disk{}
		if r.Facts.Storage != nil {
			shared = *r.Facts.Storage
		}
		t.row(r.Node.Name, r.Node.Site, tripOr(s.RoundTrip), bitsOr(s.Bandwidth), slowest, clock, speedOr(r.Facts.Disk.Write), speedOr(r.Facts.Disk.Read), speedOr(shared.Write), speedOr(shared.Read), setOr(gpuHealth(r.Facts)))
	}
	return t.flush()
}

// gpuHealth says how many GPUs are well: "8 well", "7 of 8 well".
func gpuHealth(f measure.Facts) string {
	well := 0
	for _, g := range f.GPUs {
		if len(g.Problems) == 0 {
			well++
		}
	}
	switch {
	case f.GPUError != "":
		return "unknown"
	case len(f.GPUs) == 0:
		return ""
	case well == len(f.GPUs):
		return fmt.Sprintf("%d well", well)
	}
	return fmt.Sprintf("%d of %d well", well, len(f.GPUs))
}

func tripOr(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return measure.Trip(d)
}

func bitsOr(v float64) string {
	if v == 0 {
		return "-"
	}
	return measure.Bits(v)
}

func speedOr(v float64) string {
	if v == 0 {
		return "-"
	}
	return ui.Bytes(v) + "/s"
}
