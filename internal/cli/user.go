package cli

import (
	"cmp"
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type userListCmd struct {
	Remote `embed:""`
}

// Run lists users.
func (c *userListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Users(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "KIND", "DISPLAY NAME", "STATE", "SEEN")
	for _, u := range list.Items {
		t.row(u.Name, kindOf(u), short(cmp.Or(u.DisplayName, "-"), 40), stateOf(u), p.ago(u.SeenAt))
	}
	return t.flush()
}

func kindOf(u access.User) string {
	switch {
	case u.Kind == access.Service:
		return "service account"
	case u.Administrator || u.ByGroups:
		return "administrator"
	}
	return string(u.Kind)
}

func stateOf(u access.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

type userCreateCmd struct {
	Remote        `embed:""`
	Name          string `arg:"" help:"Login name, for ever."`
	Service       bool   `xor:"kind" help:"A service account: it has API tokens, and cannot sign in."`
	Administrator bool   `xor:"kind" help:"May do everything in every project."`
	DisplayName   string `placeholder:"TEXT" help:"What the person is called."`
	Email         string `placeholder:"ADDRESS" help:"The person's email address."`
}

// Run makes the user, and prints the password of a person.
func (c *userCreateCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	in := client.UserInput{Name: c.Name, Kind: access.Person, DisplayName: c.DisplayName, Email: c.Email, Administrator: c.Administrator}
	if c.Service {
		in.Kind = access.Service
	}
	u, err := cl.CreateUser(ctx, in)
	switch {
	case err != nil:
		return err
	case c.Format == "json":
		return p.printJSON(u)
	case u.Password == "":
		return p.did(c.Remote, "created", u.Name)
	}
	p.say("the password of %s is shown once, and has to be changed at the next log-in", u.Name)
	return p.print("%s\n", u.Password)
}

type userChangeCmd struct {
	Remote        `embed:""`
	Name          string  `arg:"" help:"Login name."`
	DisplayName   *string `placeholder:"TEXT" help:"What the person is called."`
	Email         *string `placeholder:"ADDRESS" help:"The person's email address."`
	Administrator *bool   `negatable:"" help:"May do everything in every project."`
	Disabled      *bool   `negatable:"" help:"Cannot sign in or use tokens; sessions end."`
}

// Run changes the user.
func (c *userChangeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	change := client.UserChange{DisplayName: c.DisplayName, Email: c.Email, Administrator: c.Administrator, Disabled: c.Disabled}
	if change == (client.UserChange{}) {
		return fault.Usage("there is nothing to change", "add --disabled, for example")
	}
	return p.changeUser(ctx, cl, c.Remote, c.Name, "changed", change)
}

type userDisableCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// Run disables the user.
func (c *userDisableCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	disabled := true
	return p.changeUser(ctx, cl, c.Remote, c.Name, "disabled", client.UserChange{Disabled: &disabled})
}

type userEnableCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// Run enables the user.
func (c *userEnableCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	disabled := false
	return p.changeUser(ctx, cl, c.Remote, c.Name, "enabled", client.UserChange{Disabled: &disabled})
}

// changeUser changes a user, and tells what was done, if anything.
func (p *process) changeUser(ctx context.Context, cl *client.Client, r Remote, name, what string, change client.UserChange) error {
	before, err := cl.User(ctx, name)
	if err != nil {
		return err
	}
	u, err := cl.ChangeUser(ctx, name, change)
	if err != nil {
		return err
	}
	if r.Format == "json" {
		return p.printJSON(u)
	}
	if before.SeenAt = u.SeenAt; before == u {
		what = "unchanged"
	}
	return p.did(r, what, u.Name)
}

type userDeleteCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
	Yes    bool   `help:"Really delete it, with its sessions, tokens and memberships; its runs stay."`
}

// Run deletes the user.
func (c *userDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("a deleted user cannot be restored, and its name is not given again", "add --yes, or use \"cotrain user disable\"")
	}
	if err := cl.DeleteUser(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "deleted", c.Name)
}

// did tells that something was done to what has a name.
func (p *process) did(r Remote, what, name string) error {
	if r.Format == "json" {
		return p.printJSON(map[string]string{what: name})
	}
	return p.print("%s  %s\n", p.text(name), what)
}
