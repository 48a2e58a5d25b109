package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
)

type userResetPasswordCmd struct {
	Remote             `embed:""`
	kong.Plugins              // where the console's data is
	Name               string `arg:"" help:"Login name."`
	RemoveSecondFactor bool   `help:"Remove the second factor, too."`
	Offline            bool   `help:"Change the console's own database instead of asking the console: for when no administrator can sign in. Run it on the console's machine, with the console running or not."`
}

// connect is that of Remote, unless there is no console to ask.
func (c *userResetPasswordCmd) connect(p *process) (*client.Client, error) {
	if c.Offline {
		return client.New(client.DefaultAddr)
	}
	return c.Remote.connect(p)
}

// Run prints the new password.
func (c *userResetPasswordCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	flags := givenFlags(c.Plugins[0], storeSettings())
	reset := c.ask
	switch {
	case c.Offline && c.Addr != "":
		return fault.Usage("--offline and --addr are both given", "leave one out: --offline asks no console")
	case c.Offline:
		reset = func(ctx context.Context, p *process, _ *client.Client) (client.NewPassword, error) {
			return c.offline(ctx, p, flags)
		}
	case len(flags) > 0:
		return fault.Usage("where the data is matters with --offline only", "add --offline, or use --addr to say which console to ask")
	}
	out, err := reset(ctx, p, cl)
	switch {
	case err != nil:
		return err
	case c.Format == "json":
		return p.printJSON(out)
	}
	p.say("the password of %s is shown once, and has to be changed at the next log-in", c.Name)
	return p.print("%s\n", out.Password)
}

// ask has the console do it.
func (c *userResetPasswordCmd) ask(ctx context.Context, _ *process, cl *client.Client) (out client.NewPassword, err error) {
	if c.RemoveSecondFactor {
		if err := cl.RemoveUserFactor(ctx, c.Name); err != nil && !errors.Is(err, fault.ErrConflict) { // there is none
			return out, err
		}
	}
	return cl.ResetPassword(ctx, c.Name)
}

func (c *userResetPasswordCmd) offline(ctx context.Context, p *process, flags config.Flags) (out client.NewPassword, err error) {
	cfg, err := config.Load(flags, p.environ, p.readFile)
	if err != nil {
		return out, err
	}
	var notes []string
	out.Password, notes, err = p.programs.ResetPassword(ctx, cfg, c.Name, c.RemoveSecondFactor)
	for _, note := range notes {
		p.say("%s", note)
	}
	return out, err
}

type userShowCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// userDetails is a user and who it is elsewhere.
type userDetails struct {
	access.User
	Identities []access.ProviderIdentity `json:"identities"`
}

// Run shows the user.
func (c *userShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	u, err := cl.User(ctx, c.Name)
	if err != nil {
		return err
	}
	list, err := cl.Identities(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(userDetails{u, list.Items})
	}
	t := p.table("NAME", u.Name)
	t.row("KIND", kindOf(u))
	t.row("DISPLAY NAME", u.DisplayName)
	t.row("EMAIL", u.Email)
	t.row("STATE", stateOf(u))
	t.row("PASSWORD", map[bool]string{true: "yes", false: "none"}[u.HasPassword])
	if u.OneTimePassword {
		t.row("", "one-time, not changed yet")
	}
	t.row("SECOND FACTOR", map[bool]string{true: "yes", false: "none"}[u.SecondFactor])
	t.row("SEEN", p.ago(u.SeenAt))
	for _, i := range list.Items {
		t.row("SIGNS IN AS", fmt.Sprintf("%s at %s", i.Subject, i.Issuer))
	}
	return t.flush()
}

type userSignOutCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// Run ends the user's sessions.
func (c *userSignOutCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.EndUserSessions(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "signed-out", c.Name)
}

type userRemoveSecondFactorCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// Run removes the second factor.
func (c *userRemoveSecondFactorCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.RemoveUserFactor(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "second-factor-removed", c.Name)
}

type userLinkCmd struct {
	Remote  `embed:""`
	Name    string `arg:"" help:"Login name."`
	Subject string `arg:"" help:"Who the user is at the log-in provider: the page that refused the log-in tells it, and the audit log."`
}

// Run links the user.
func (c *userLinkCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.LinkIdentity(ctx, c.Name, c.Subject); err != nil {
		return err
	}
	return p.did(c.Remote, "linked", c.Name)
}

type userUnlinkCmd struct {
	Remote  `embed:""`
	Name    string `arg:"" help:"Login name."`
	Subject string `arg:"" help:"Who the user was at the log-in provider, as \"cotrain user show\" has it."`
}

// Run takes a link back.
func (c *userUnlinkCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Identities(ctx, c.Name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(list.Items, func(i access.ProviderIdentity) bool { return i.Subject == c.Subject })
	if at < 0 {
		return fault.New(fault.ErrNotFound, fmt.Sprintf("%s does not sign in as %s.", c.Name, fault.Quote(c.Subject)), "Run \"cotrain user show "+c.Name+"\" to see as whom.")
	}
	if err := cl.UnlinkIdentity(ctx, c.Name, list.Items[at]); err != nil {
		return err
	}
	return p.did(c.Remote, "unlinked", c.Name)
}
