package cli

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type sweepShowCmd struct {
	Remote `embed:""`
	ID     run.SweepID `arg:"" help:"ID of the sweep."`
}

// Run shows a sweep.
func (c *sweepShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	d, err := cl.Sweep(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(d)
	}
	t := p.table()
	t.row("Sweep", string(d.Sweep.ID))
	t.row("Name", d.Sweep.Name)
	t.row("Runs", countsText(d.Sweep)+stoppedNote(d.Sweep))
	t.pairs("Parallel", parallelText(d.Sweep.Spec.Parallel), "Created", p.when(d.Sweep.CreatedAt))
	if err := t.flush(); err != nil {
		return err
	}
	return p.printSweepRuns(d)
}

// printSweepRuns prints a row for each run, with the lowest loss and the highest throughput marked.
func (p *process) printSweepRuns(d client.SweepDetail) error {
	if err := p.print("\n"); err != nil {
		return err
	}
	header := append([]string{"RUN", "ID"}, d.Sweep.Fields...)
	t := p.table(append(header, "STATE", "STEP", "LOSS", "THROUGHPUT")...)
	best, fastest := bestOf(d.Runs)
	for i, r := range d.Runs {
		row := []string{short(r.Name, 40), string(r.ID)}
		for _, field := range d.Sweep.Fields {
			row = append(row, setOr(r.Values[field]))
		}
		like := run.Run{StepsTotal: r.StepsTotal, Progress: r.Progress}
		t.row(append(row, string(r.State), steps(like), loss(like)+mark(i == best), rate(r.Progress.TokensPerSec)+mark(i == fastest))...)
	}
	return t.flush()
}

func mark(best bool) string {
	if best {
		return " *"
	}
	return ""
}

// bestOf finds the run with the lowest loss and that with the highest throughput; -1 where fewer than two have any.
func bestOf(runs []client.SweepRun) (best, fastest int) {
	best, fastest = -1, -1
	losses, rates := 0, 0
	for i, r := range runs {
		if v := r.Progress.Loss; r.Progress.HasLoss && !math.IsNaN(v) && !math.IsInf(v, 0) {
			if losses++; best < 0 || v < runs[best].Progress.Loss {
				best = i
			}
		}
		if v := r.Progress.TokensPerSec; v > 0 && !math.IsInf(v, 0) {
			if rates++; fastest < 0 || v > runs[fastest].Progress.TokensPerSec {
				fastest = i
			}
		}
	}
	if losses < 2 {
		best = -1
	}
	if rates < 2 {
		fastest = -1
	}
	return best, fastest
}

// countsText is "4 runs: 1 running, 3 queued".
func countsText(sw run.Sweep) string {
	total := 0
	var parts []string
	for _, state := range run.States() {
		if n := sw.Counts[state]; n > 0 {
			total += n
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	if total == 0 {
		return "no runs"
	}
	return count(total, "run") + ": " + strings.Join(parts, ", ")
}

func stoppedNote(sw run.Sweep) string {
	if sw.Stopped {
		return " (stopped)"
	}
	return ""
}

func parallelText(n int) string {
	if n == 0 {
		return ""
	}
	return "at most " + strconv.Itoa(n)
}

// liveRuns is how many runs of a sweep have not ended.
func liveRuns(sw run.Sweep) int {
	n := 0
	for state, c := range sw.Counts {
		if !state.Terminal() {
			n += c
		}
	}
	return n
}

// followSweep prints the counts at each change until all runs have ended.
func (p *process) followSweep(ctx context.Context, cl *client.Client, format string, patience time.Duration, sw run.Sweep) error {
	said := ""
	for {
		if text := countsText(sw); text != said {
			said = text
			var err error
			if format == "json" {
				err = p.printJSON(sw)
			} else {
				err = p.print("== sweep %s: %s\n", sw.ID, text)
			}
			if err != nil {
				return err
			}
		}
		if liveRuns(sw) == 0 {
			break
		}
		err := sleep(ctx, p.poll)
		if err == nil {
			sw, err = readSweep(ctx, p, cl, patience, sw.ID)
		}
		if err != nil {
			if ctx.Err() != nil {
				p.say("sweep %s goes on; \"cotrain sweep stop %s\" ends it", sw.ID, sw.ID)
			}
			return err
		}
	}
	if total := sw.Counts[run.Succeeded]; total == 0 || len(sw.Counts) > 1 {
		p.say("not every run of sweep %s has succeeded; \"cotrain sweep show %s\" lists them", sw.ID, sw.ID)
		return errQuiet
	}
	return nil
}

// readSweep reads a sweep, and waits for a console that is away.
func readSweep(ctx context.Context, p *process, cl *client.Client, patience time.Duration, id run.SweepID) (run.Sweep, error) {
	d, err := patiently(ctx, p, patience, func() (client.SweepDetail, error) { return cl.Sweep(ctx, id) })
	if err != nil {
		return run.Sweep{ID: id}, err
	}
	return d.Sweep, nil
}
