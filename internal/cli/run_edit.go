package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type runTagCmd struct {
	Remote `embed:""`
	IDs    []run.ID `arg:"" name:"id" help:"IDs of the runs."`
	Add    []string `placeholder:"TAG" help:"Tag to add. Repeat it, or separate with commas."`
	Remove []string `placeholder:"TAG" help:"Tag to remove. Repeat it, or separate with commas."`
}

// Run tags runs.
func (c *runTagCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if len(c.Add)+len(c.Remove) == 0 {
		return fault.Usage("there is no tag to add or to remove", "name it with --add or --remove")
	}
	return p.editRuns(ctx, cl, c.Format, c.IDs, run.Edit{Tag: c.Add, Untag: c.Remove}, func(r run.Run) string { return "tags: " + setOr(strings.Join(r.Options.Tags, ", ")) })
}

type runNoteCmd struct {
	Remote  `embed:""`
	ID      run.ID `arg:"" help:"ID of the run."`
	Text    string `arg:"" help:"The note, plain text; \"\" removes it."`
	Replace bool   `help:"Replace the note that the run has."`
}

// Run writes a note on a run. One that is there is told, so that whoever replaces it knows what it said.
func (c *runNoteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	d, err := cl.Run(ctx, c.ID)
	if err != nil {
		return err
	}
	was := d.Run.Note
	if was != "" && !c.Replace {
		return fault.New(fault.ErrConflict, fmt.Sprintf("Run %s has a note: %s", c.ID, was), "Write over it with --replace.")
	}
	if was != "" && c.Format != "json" {
		p.say("the note was: %s", was)
	}
	return p.editRuns(ctx, cl, c.Format, []run.ID{c.ID}, run.Edit{Note: &c.Text, NoteWas: was}, func(r run.Run) string {
		if r.Note == "" {
			return "no note"
		}
		return "noted"
	})
}

type runArchiveCmd struct {
	Remote `embed:""`
	IDs    []run.ID `arg:"" name:"id" help:"IDs of the runs."`
	Undo   bool     `help:"Bring archived runs back into the lists."`
}

// Run archives runs.
func (c *runArchiveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	archived := !c.Undo
	return p.editRuns(ctx, cl, c.Format, c.IDs, run.Edit{Archived: &archived}, func(r run.Run) string {
		if r.Archived {
			return "archived"
		}
		return "in the lists"
	})
}

// editRuns changes what people add to runs. One run is told as it is then; of several it says which were not changed, and fails.
func (p *process) editRuns(ctx context.Context, cl *client.Client, format string, ids []run.ID, e run.Edit, says func(run.Run) string) error {
	if len(ids) == 1 {
		r, err := cl.EditRun(ctx, ids[0], e)
		if err != nil {
			return err
		}
		if format == "json" {
			return p.printJSON(r)
		}
		return p.print("%s  %s\n", r.ID, p.text(says(r)))
	}
	res, err := cl.EditRuns(ctx, ids, e)
	if err != nil {
		return err
	}
	if format == "json" {
		if err := p.printJSON(res); err != nil {
			return err
		}
	} else {
		for _, id := range res.Done {
			if err := p.print("%s  changed\n", id); err != nil {
				return err
			}
		}
	}
	for _, f := range res.Failed {
		p.say("%s: %s", f.ID, f.What)
	}
	if n := len(res.Failed); n > 0 {
		return fault.New(fault.ErrConflict, fmt.Sprintf("%d of %d runs were not changed.", n, len(ids)), "")
	}
	return nil
}
