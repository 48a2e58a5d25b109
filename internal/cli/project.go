package cli

import (
	"cmp"
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type projectListCmd struct {
	Remote `embed:""`
}

// Run lists projects.
func (c *projectListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Projects(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "DESCRIPTION", "CREATED")
	for _, x := range list.Items {
		t.row(x.Name, short(cmp.Or(x.Description, "-"), 60), p.ago(x.CreatedAt))
	}
	return t.flush()
}

type projectCreateCmd struct {
	Remote      `embed:""`
	Name        string `arg:"" help:"Name, for ever: lower-case letters, digits and dashes."`
	Description string `placeholder:"TEXT" help:"What it is for."`
}

// Run makes the project.
func (c *projectCreateCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if _, err := cl.CreateProject(ctx, client.ProjectInput{Name: c.Name, Description: c.Description}); err != nil {
		return err
	}
	return p.did(c.Remote, "created", c.Name)
}

type projectDescribeCmd struct {
	Remote      `embed:""`
	Name        string `arg:"" help:"Name of the project."`
	Description string `arg:"" help:"What it is for."`
}

// Run changes the description.
func (c *projectDescribeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if _, err := cl.DescribeProject(ctx, c.Name, c.Description); err != nil {
		return err
	}
	return p.did(c.Remote, "changed", c.Name)
}

type projectDeleteCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	Yes    bool   `help:"Really delete it, with its memberships and the tokens for it alone."`
}

// Run deletes the project.
func (c *projectDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("a deleted project cannot be restored", "add --yes")
	}
	if err := cl.DeleteProject(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "deleted", c.Name)
}

type projectMembersCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
}

// Run lists the members.
func (c *projectMembersCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Members(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "ROLE")
	for _, m := range list.Items {
		t.row(m.Name, string(m.Role))
	}
	return t.flush()
}

type projectGrantCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	User   string `arg:"" help:"Login name."`
	Role   string `arg:"" enum:"viewer,operator,admin" help:"viewer, operator or admin."`
}

// Run gives the role.
func (c *projectGrantCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.SetMember(ctx, c.Name, c.User, access.Role(c.Role)); err != nil {
		return err
	}
	return p.did(c.Remote, "granted", c.User)
}

type projectRemoveCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	User   string `arg:"" help:"Login name."`
}

// Run takes the role away.
func (c *projectRemoveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.RemoveMember(ctx, c.Name, c.User); err != nil {
		return err
	}
	return p.did(c.Remote, "removed", c.User)
}
