package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

// auditFlags are those that say which entries.
type auditFlags struct {
	Text    string `arg:"" optional:"" help:"Words that must all occur."`
	Actor   string `placeholder:"NAME" help:"By whom, a login name."`
	Action  string `placeholder:"ACTION" help:"Such as runs.stop."`
	Project string `placeholder:"NAME" help:"Of this project."`
	Subject string `placeholder:"KIND:NAME" help:"About this, such as run:r-0123456789."`
	Address string `placeholder:"IP" help:"From this address."`
	Outcome string `placeholder:"OUTCOME" help:"done, refused or failed."`
	Since   string `placeholder:"TIME" help:"Not before this time, as in RFC 3339, or so long ago, such as 24h."`
	Until   string `placeholder:"TIME" help:"Before this time."`
}

// filter is what to ask the console for.
func (f auditFlags) filter(p *process) (client.AuditFilter, error) {
	out := client.AuditFilter{Text: f.Text, Actor: f.Actor, Action: f.Action, Project: f.Project, Subject: f.Subject, Address: f.Address, Outcome: f.Outcome}
	var err error
	if out.Since, err = p.moment("--since", f.Since); err != nil {
		return out, err
	}
	out.Until, err = p.moment("--until", f.Until)
	return out, err
}

// moment reads a time of a flag, as in RFC 3339 or so long ago; "" for none.
func (p *process) moment(flag, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if ago, bad := time.ParseDuration(text); err != nil && bad == nil && ago >= 0 {
		at, err = p.now().Add(-ago), nil
	}
	if err != nil {
		return "", fault.Usage(fmt.Sprintf("%s %q is no time", flag, text), "write it as 2026-01-31T15:04:05Z, or as 24h")
	}
	return at.UTC().Format(time.RFC3339), nil
}

type auditListCmd struct {
	Remote     `embed:""`
	auditFlags `embed:""`
	Limit      int `default:"50" help:"At most this many."`
}

// Run lists entries, newest first. A search that ends early goes on by itself, until it has enough.
func (c *auditListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 50")
	}
	f, err := c.filter(p)
	if err != nil {
		return err
	}
	all := client.AuditPage{Items: []client.AuditEntry{}}
	for more := true; more && len(all.Items) < c.Limit; more = all.Next != 0 {
		page, err := cl.Audit(ctx, client.AuditQuery{AuditFilter: f, Before: all.Next, Limit: min(listPage, c.Limit-len(all.Items))})
		if err != nil {
			return err
		}
		all.Items, all.Next, all.Back = append(all.Items, page.Items...), page.Next, page.Back
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	t := p.table("ENTRY", "TIME", "WHO", "ACTION", "SUBJECT", "PROJECT", "FROM", "OUTCOME")
	for _, e := range all.Items {
		outcome := string(e.Outcome)
		if e.Reason != "" {
			outcome += ": " + short(e.Reason, 60)
		}
		t.row(fmt.Sprint(e.Seq), e.At.Local().Format(time.DateTime), cmp.Or(e.Actor.Name, "-"), e.Action, cmp.Or(e.Subject, "-"), cmp.Or(e.Project, "-"), cmp.Or(e.Actor.Address, "-"), outcome)
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case all.Next != 0:
		p.say("there are more entries; --limit shows more")
	case len(all.Items) == 0:
		p.say("no entries")
	}
	return nil
}
