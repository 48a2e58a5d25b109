package cli

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
)

type storageLayoutCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Repair    bool `help:"Make the folders that are missing."`
}

// Run shows the layout. A layout with something wrong in it is no failure: the command only tells.
func (c *storageLayoutCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	read := cl.Storage
	if c.Repair {
		read = cl.RepairStorage
	}
	st, err := read(ctx, c.storage(p))
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(st)
	}
	for _, text := range st.Done {
		p.say("%s", text)
	}
	if err := p.print("%s", p.text("path   "+st.Path)+"\n"+p.text("mount  "+st.Mount)+"\n\n"); err != nil {
		return err
	}
	t := p.table("FOLDER", "MODE", "OWNER", "WHAT BELONGS THERE")
	for _, f := range st.Folders {
		if f.Found {
			t.row(f.Path, f.Mode, f.Owner, f.Purpose)
		} else {
			t.row(f.Path, "-", "-", f.Purpose)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, f := range st.Folders {
		if f.Problem != "" {
			p.say("%s: %s", f.Path, f.Problem)
		}
	}
	return nil
}
