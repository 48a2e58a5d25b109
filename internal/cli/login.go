package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/cli/browser"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type loginCmd struct {
	Remote    `embed:""`
	Scope     []string `default:"write" placeholder:"SCOPE" help:"What the command line may do: read, write, all, or a right such as runs.submit; several with commas (write)."`
	Only      string   `placeholder:"PROJECT" help:"The only project that it is for; left out, all of yours."`
	Name      string   `placeholder:"NAME" help:"What the token is called (the name of this machine)."`
	NoBrowser bool     `help:"Only print the address and the code."`
}

// connect returns a client that shows no token: a log-in needs none.
func (c *loginCmd) connect(p *process) (*client.Client, error) {
	cl, err := c.dial(p)
	if err != nil {
		return nil, err
	}
	return cl, c.mayShowToken(p, cl)
}

// Run has a person agree in a browser, and keeps the token that the console then gives.
func (c *loginCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	kept, err := p.readCredentials()
	if err != nil {
		return err
	}
	scopes, err := readScopes(c.Scope)
	if err != nil {
		return err
	}
	codes, err := cl.BeginDevice(ctx, client.DeviceInput{Name: cmp.Or(c.Name, machine()), Scopes: scopes, Project: c.Only})
	if err != nil {
		return err
	}
	page, complete := onConsole(cl, codes.VerificationURI), onConsole(cl, codes.VerificationURIComplete)
	p.say("open %s", page)
	p.say("and enter the code %s", codes.UserCode)
	if p.stderrTerminal && !c.NoBrowser && p.browse != nil {
		if err := p.browse(complete); err != nil {
			p.say("no browser could be opened here: any other will do")
		}
	}
	p.say("waiting until %s", p.now().Add(time.Duration(codes.ExpiresIn)*time.Second).Local().Format("15:04"))
	token, err := p.await(ctx, cl, codes)
	if err != nil {
		return err
	}
	cl.SetToken(token.Secret)
	before, had := kept.known[cl.Address()]
	if err := kept.keep(cl.Address(), credential{token.ID, token.Secret, token.ExpiresAt}); err != nil {
		if revoking := cl.RevokeOwnToken(ctx); revoking != nil {
			p.say("the token %s stays: %v", token.ID, revoking)
		}
		return err
	}
	if had {
		p.revokeOld(ctx, c.Remote, before)
	}
	if other, _ := p.environ("COTRAIN_TOKEN"); other != "" {
		p.say("COTRAIN_TOKEN is set, and is used instead")
	}
	who, err := cl.Account(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(who)
	}
	return p.print("Signed in to %s as %s, until %s.\n", p.text(cl.Address()), p.text(who.Name), token.ExpiresAt.Local().Format("2006-01-02"))
}

// await asks until somebody has agreed or denied, as often as the console says.
func (p *process) await(ctx context.Context, cl *client.Client, codes client.DeviceCodes) (*client.NewToken, error) {
	every := codes.Interval
	for {
		if err := p.wait(ctx, time.Duration(max(every, 1))*time.Second); err != nil {
			return nil, err
		}
		answer, err := cl.PollDevice(ctx, codes.DeviceCode)
		if f := fault.Of(err); err != nil && !f.Kind.Temporary() {
			return nil, err
		}
		if answer.Token != nil {
			return answer.Token, nil
		}
		every = max(every, answer.Interval)
	}
}

// revokeOld revokes the token of an earlier log-in, which may have ended.
func (p *process) revokeOld(ctx context.Context, r Remote, old credential) {
	cl, err := r.dial(p)
	if err == nil {
		cl.SetToken(old.Token)
		_ = cl.RevokeOwnToken(ctx) // it ends by itself at the latest
	}
}

// onConsole is an address that a console has given: relative to where it was reached, if it does not know its own.
func onConsole(cl *client.Client, address string) string {
	if u, err := url.Parse(address); err == nil && u.Scheme == "" && u.Host == "" && strings.HasPrefix(address, "/") {
		return cl.Address() + address
	}
	return address
}

// browse opens a page, if an address is that of one. What the browser says is nobody's business.
func browse(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("%q is not the address of a page", address)
	}
	browser.Stdout, browser.Stderr = io.Discard, io.Discard
	return browser.OpenURL(u.String())
}

func machine() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return "cotrain on " + name
	}
	return "cotrain"
}

func readScopes(names []string) (scopes []access.Scope, err error) {
	for _, s := range names {
		scope, err := access.ParseScope(strings.TrimSpace(s))
		if err != nil {
			return nil, fault.Usage("--scope: "+err.Error(), "use read, for example")
		}
		scopes = append(scopes, scope)
	}
	return scopes, nil
}

type logoutCmd struct {
	Remote `embed:""`
}

// connect returns a client without a token: Run shows the one that it revokes.
func (c *logoutCmd) connect(p *process) (*client.Client, error) {
	cl, err := c.dial(p)
	if err != nil {
		return nil, err
	}
	return cl, c.mayShowToken(p, cl)
}

// Run revokes the token of "cotrain login", and forgets it.
func (c *logoutCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	kept, err := p.readCredentials()
	if err != nil {
		return err
	}
	k, ok := kept.known[cl.Address()]
	if !ok {
		return fault.New(fault.ErrNoToken, "The command line is not signed in to "+cl.Address()+".", "")
	}
	cl.SetToken(k.Token)
	err = cl.RevokeOwnToken(ctx)
	if kind := fault.Of(err).Kind; err != nil && kind != fault.ErrSignedOut && kind != fault.ErrNoToken {
		return fmt.Errorf("the token %s is not revoked, and kept: %w", k.ID, err)
	}
	if err := kept.keep(cl.Address(), credential{}); err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(map[string]access.TokenID{"revoked": k.ID})
	}
	return p.print("Signed out of %s.\n", p.text(cl.Address()))
}
