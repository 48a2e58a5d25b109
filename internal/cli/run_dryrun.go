package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// dryRun asks what would happen to a submission, and prints it.
func (p *process) dryRun(ctx context.Context, cl *client.Client, format string, body client.Submission) error {
	d, err := cl.DryRun(ctx, body)
	if err != nil {
		return err
	}
	if format == "json" {
		if err := p.printJSON(d); err != nil {
			return err
		}
		return fits(d)
	}
	if err := p.printDryRun(d); err != nil {
		return err
	}
	p.warn(d.Warnings)
	return fits(d)
}

// fits is how a dry run ends.
func fits(d run.DryRun) error {
	if !d.Fits {
		return errQuiet
	}
	return nil
}

func (p *process) printDryRun(d run.DryRun) error {
	answer := "yes: every worker would be placed now"
	if !d.Fits {
		answer = "no" + because(d.Reason)
	}
	t := p.table()
	t.row("Fits", answer)
	t.row("Job", d.ParentJob+parentNote(d.Parent))
	if err := t.flush(); err != nil {
		return err
	}
	if err := p.printSecretLooks(d.Secrets); err != nil || len(d.Places) == 0 {
		return err
	}
	if err := p.print("\nNodes with room\n"); err != nil {
		return err
	}
	t = p.table("NODE", "DATACENTER", "WORKERS", "ID")
	for _, place := range d.Places {
		t.row(place.Node, place.Datacenter, strconv.Itoa(place.Workers), short(place.NodeID, 9))
	}
	return t.flush()
}

// printSecretLooks prints whether secrets are there.
func (p *process) printSecretLooks(looks []run.SecretLook) error {
	if len(looks) == 0 {
		return nil
	}
	if err := p.print("\nSecrets\n"); err != nil {
		return err
	}
	t := p.table("SECRET", "STATE", "WHERE")
	for _, l := range looks {
		t.row(l.Name, string(l.State), l.Where)
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, l := range looks {
		if l.Why != "" {
			p.say("%s", strings.TrimSpace(l.Name+": "+l.Why+" "+l.Fix))
		}
	}
	return nil
}

func parentNote(s run.ParentState) string {
	switch s {
	case run.ParentNew:
		return ", which would be registered"
	case run.ParentUpdate:
		return ", which would get a new version"
	case run.ParentCurrent:
		return ", which is there"
	}
	return ""
}
