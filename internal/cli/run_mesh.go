package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// mostRounds is how many rounds one request may ask for.
const mostRounds = 1000

type runMeshCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
	Rounds int    `default:"10" placeholder:"N" help:"The newest rounds, this many."`
	Syncs  bool   `help:"With each worker's sync; with --format json."`
}

// Run prints who waited for whom, and what that cost.
func (c *runMeshCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Rounds < 1 || c.Rounds > mostRounds {
		return fault.Usage(fmt.Sprintf("--rounds must be from 1 to %d", mostRounds), "use --rounds 100")
	}
	if c.Syncs && c.Format != "json" {
		return fault.Usage("--syncs needs --format json", "add --format json")
	}
	m, err := cl.Mesh(ctx, c.ID, client.MeshQuery{Limit: c.Rounds, Syncs: c.Syncs})
	if err != nil {
		return err
	}
	switch {
	case c.Format == "json":
		return p.printJSON(m)
	case m.InnerSteps == 0:
		p.say("the run trains without DiLoCo: it has no outer steps")
		return nil
	case m.Total == 0:
		p.say("no outer step is done yet")
		return nil
	}
	return p.printMesh(m)
}

func (p *process) printMesh(m client.Mesh) error {
	s := m.Shares
	if err := p.print("%d rounds of %d steps: computing %s, waiting %s, all-reduce %s of all workers' time. Together they waited %s.\n\n",
		m.Total, m.InnerSteps, percentOf(s.Compute), percentOf(s.Wait), percentOf(s.AllReduce), tookText(m.Cost)); err != nil {
		return err
	}
	if m.Receipt {
		p.say("workers do not tell their clocks: rounds are where the console received their lines")
	}
	t := p.table("WORKER", "NODE", "COST", "LAST IN", "INNER STEP", "COMPUTING", "WAITED", "ROUNDS", "ABSENT", "CLOCK")
	slices.SortStableFunc(m.Workers, func(a, b mesh.Totals) int { return cmp.Compare(b.Cost, a.Cost) })
	for _, w := range m.Workers {
		clock := "-"
		if w.Offset != nil {
			clock = fmt.Sprintf("%+.3f ± %.3f s", *w.Offset, w.OffsetError)
		}
		t.row(strconv.Itoa(w.Rank), setOr(w.Node), tookText(w.Cost), strconv.Itoa(w.Last), tookText(w.Step), percentOf(w.Computing()), tookText(w.Wait), strconv.Itoa(w.Rounds), tookText(w.Absent), clock)
	}
	if err := t.flush(); err != nil {
		return err
	}
	if err := p.print("\n"); err != nil {
		return err
	}
	t = p.table("STEP", "ATTEMPT", "TOOK", "WORKERS", "STRAGGLER", "LATE BY", "COST", "ALL-REDUCE", "BANDWIDTH")
	for _, r := range m.Rounds {
		straggler, bits := "-", "-"
		if r.Straggler >= 0 {
			straggler = strconv.Itoa(r.Straggler)
		}
		if r.Bandwidth > 0 {
			bits = measure.Bits(r.Bandwidth)
		}
		t.row(strconv.FormatInt(r.Step, 10), strconv.Itoa(r.Attempt), tookText(r.Seconds), strconv.Itoa(r.Workers), straggler, tookText(r.Margin), tookText(r.Cost), tookText(r.AllReduce), bits)
	}
	if err := t.flush(); err != nil {
		return err
	}
	return p.printPlan(m.Plan)
}

// printPlan prints what was planned, what came of it, and what would have been faster.
func (p *process) printPlan(plan *mesh.RoundPlan) error {
	if plan == nil || plan.Rounds == 0 {
		return nil
	}
	planned := "unknown"
	if plan.SyncSeconds > 0 {
		planned = tookText(plan.SyncSeconds) + " at " + measure.Bits(plan.Bandwidth) + " (" + plan.BandwidthOf + ")"
	}
	if err := p.print("\nAll-reduce: planned %s, took %s. Median of the newest %d rounds.\n", planned, tookText(plan.AllReduce), plan.Rounds); err != nil {
		return err
	}
	for _, o := range plan.Options {
		if err := p.print("%s\n", p.text(fmt.Sprintf("Faster %s: %+.1f %% tokens/s. %s %s", how(o), 100*(o.Gain-1), o.Arithmetic, o.Caveat))); err != nil {
			return err
		}
	}
	return nil
}

func percentOf(share float64) string { return fmt.Sprintf("%.1f %%", 100*share) }

func tookText(seconds float64) string {
	if seconds > 0 && seconds < 1 {
		return ui.Number(seconds*1000) + " ms"
	}
	return ui.Number(seconds) + " s"
}

// how says what another setting is.
func how(o mesh.FasterOption) string {
	if o.Setting == "workers" {
		return o.Value
	}
	return "with " + o.Setting + " = " + o.Value
}
