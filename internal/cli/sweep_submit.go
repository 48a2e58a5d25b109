package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type sweepSubmitCmd struct {
	Remote      `embed:""`
	InProject   `embed:""`
	Name        string   `required:"" help:"Name of the sweep; its runs add their number."`
	Grid        []string `sep:"none" xor:"points" placeholder:"FIELD=A,B" help:"Values of a field; a range such as 1e-4..1e-3 log 4 is one too. Repeat it for every combination with another field's."`
	List        string   `xor:"points" placeholder:"FILE" help:"One run for each line of JSON, as in {\"optim.optim.lr\": 1e-4, \"nodes\": 2}, or for each [[runs]] of a TOML file; - reads the standard input."`
	Parallel    int      `placeholder:"N" help:"The most runs at one time; 0 for no limit."`
	Description *string  `placeholder:"TEXT" help:"Free text that is shown with the runs."`
	Start       `embed:""`
	Changes     `embed:""`
	Key         string        `help:"Repeating a submission with the same key returns the first one's sweep."`
	Follow      bool          `short:"f" help:"Print progress until all runs have ended; exit 0 when all succeeded, 1 when not."`
	Patience    time.Duration `default:"5m" help:"How long to wait for a console that is away."`
}

// Run submits, and follows if asked to.
func (c *sweepSubmitCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	body, err := c.body(p)
	if err != nil {
		return err
	}
	made, err := post(ctx, p, Sending{Key: c.Key, Patience: c.Patience}, func(key string) (client.SubmittedSweep, error) {
		return cl.SubmitSweep(ctx, key, body)
	})
	if err != nil {
		return err
	}
	sw := made.Sweep
	p.warnOfTrouble(ctx, cl)
	if c.Format != "json" || c.Follow {
		p.warn(made.Warnings)
	}
	switch {
	case c.Follow:
		return p.followSweep(ctx, cl, c.Format, c.Patience, sw)
	case c.Format == "json":
		return p.printJSON(made)
	}
	if err := p.print("%s\n", sw.ID); err != nil {
		return err
	}
	p.say("%s; watch them with \"cotrain sweep show %s\"", countsText(sw), sw.ID)
	return nil
}

// body puts together what is sent.
func (c *sweepSubmitCmd) body(p *process) (client.SweepInput, error) {
	body := client.SweepInput{Project: c.project(p), Name: c.Name, Parallel: c.Parallel}
	if c.List == "" && len(c.Grid) == 0 {
		return body, fault.Usage("neither --grid nor --list says what to vary", "write --grid optim.optim.lr=1e-4,3e-4, for example")
	}
	if c.Parallel < 0 || c.Parallel > run.MaxSweepRuns {
		return body, fault.Usage(fmt.Sprintf("--parallel %d is out of range", c.Parallel), fmt.Sprintf("use 1 to %d, or 0 for no limit", run.MaxSweepRuns))
	}
	if c.List == "-" && c.File == "-" {
		return body, fault.Usage("--list and --file cannot both be read from the standard input", "name a file for one of them")
	}
	src, err := c.source()
	if err != nil {
		return body, err
	}
	if err := c.apply(p, &src); err != nil {
		return body, err
	}
	body.Source = described(src, c.Description)
	if c.List != "" {
		data, err := p.readText("--list "+c.List, c.List, maxListFile, "give each run one line")
		if err != nil {
			return body, err
		}
		body.List, err = parsePoints(data)
		return body, err
	}
	body.Grid, err = parseGrid(c.Grid)
	return body, err
}

// parseGrid reads the axes of a grid.
func parseGrid(axes []string) ([]run.Axis, error) {
	var out []run.Axis
	var errs run.FieldErrors
	for _, text := range axes {
		field, values, found := strings.Cut(text, "=")
		if field = strings.TrimSpace(field); !found || field == "" {
			return nil, fault.Usage(fmt.Sprintf("--grid %q is not of the form field=values", text), "write --grid optim.optim.lr=1e-4,3e-4, for example")
		}
		list, err := trainconf.SweepValues(field, values)
		errs = append(errs, trainconf.AsFieldErrors(err)...)
		var scratch trainconf.Request
		for _, value := range list {
			errs = append(errs, trainconf.AsFieldErrors(scratch.Set(field, value))...)
		}
		out = append(out, run.Axis{Field: field, Values: list})
	}
	if len(errs) > 0 {
		return nil, slices.Compact(errs)
	}
	return out, nil
}
