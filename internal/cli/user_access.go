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
	RevokeTokens       bool   `help:"Revoke all API tokens of the user, too."`
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
	if out.Tokens > 0 {
		p.say("API tokens of %s that still count: %d; --revoke-tokens revokes them", c.Name, out.Tokens)
	}
	return p.print("%s\n", out.Password)
}

// ask has the console do it.
func (c *userResetPasswordCmd) ask(ctx context.Context, _ *process, cl *client.Client) (out client.NewPassword, err error) {
	if c.RemoveSecondFactor {
		if err := cl.RemoveUserFactor(ctx, c.Name); err != nil && !errors.Is(err, fault.ErrConflict) { // there is none
			return out, err
		}
	}
	return cl.ResetPassword(ctx, c.Name, c.RevokeTokens)
}

func (c *userResetPasswordCmd) offline(ctx context.Context, p *process, flags config.Flags) (out client.NewPassword, err error) {
	cfg, err := config.Load(flags, p.environ, p.readFile)
	if err != nil {
		return out, err
	}
	var notes []string
	out.Password, out.Tokens, notes, err = p.programs.ResetPassword(ctx, cfg, c.Name, c.RemoveSecondFactor, c.RevokeTokens)
	for _, note := range notes {
		p.say("%s", note)
	}
	return out, err
}

type userShowCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Login name."`
}

// userDetails is a user, its roles, and who it is elsewhere.
type userDetails struct {
	access.User
	Roles      []access.Member           `json:"roles"`
	Identities []access.ProviderIdentity `json:"identities"`
}

// rolesOf are the roles of a user by project.
func rolesOf(ctx context.Context, cl *client.Client, user access.UserID) ([]access.Member, error) {
	projects, err := cl.Projects(ctx)
	roles := []access.Member{}
	for _, x := range projects.Items {
		list, err := cl.Members(ctx, x.Name)
		if err != nil {
			return nil, err
		}
		for _, m := range list.Items {
			if m.User == user {
				roles = append(roles, m)
			}
		}
	}
	return roles, err
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
	roles, err := rolesOf(ctx, cl, u.ID)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(userDetails{u, roles, list.Items})
	}
	t := p.table("Name", u.Name)
	t.row("Kind", kindOf(u))
	for field, value := range []string{u.DisplayName, u.Email} {
		if value != "" {
			t.row([]string{"Display name", "Email"}[field], value)
		}
	}
	t.row("State", stateOf(u))
	if u.Kind == access.Person {
		t.row("Password", passwordOf(u))
		t.row("Second factor", map[bool]string{true: "yes", false: "none"}[u.SecondFactor])
	}
	t.row("Seen", p.ago(u.SeenAt))
	for _, m := range roles {
		t.row("Role", fmt.Sprintf("%s in %s", m.Effective(), m.Project))
	}
	for _, i := range list.Items {
		t.row("Signs in as", fmt.Sprintf("%s at %s", i.Subject, i.Issuer))
	}
	return t.flush()
}

func passwordOf(u access.User) string {
	switch {
	case u.OneTimePassword:
		return "one-time, not changed yet"
	case u.HasPassword:
		return "yes"
	}
	return "none"
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
