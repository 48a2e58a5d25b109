package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type tokenCreateCmd struct {
	Remote  `embed:""`
	Name    string   `arg:"" help:"What the token is for."`
	Scope   []string `default:"read" placeholder:"SCOPE" help:"read, write, all, or a right such as runs.submit; several with commas (read)."`
	Only    string   `placeholder:"PROJECT" help:"The only project that the token is for; left out, all of yours."`
	For     string   `placeholder:"ACCOUNT" help:"A service account whose token it is to be, instead of yours; for administrators."`
	Expires string   `default:"90d" placeholder:"TIME" help:"After how long it expires, such as 12h or 365d, or never (90d)."`
}

// Run makes the token.
func (c *tokenCreateCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	scopes, err := readScopes(c.Scope)
	if err != nil {
		return err
	}
	in := client.TokenInput{Name: c.Name, Project: c.Only, Scopes: scopes}
	if c.Expires != "never" {
		after, ok := expiry(c.Expires)
		if !ok {
			return fault.Usage("--expires "+c.Expires+" is no length of time", "use 90d or never, for example")
		}
		in.ExpiresAt = p.now().Add(after)
	}
	create := cl.CreateToken
	if c.For != "" {
		create = func(ctx context.Context, in client.TokenInput) (client.NewToken, error) {
			return cl.CreateUserToken(ctx, c.For, in)
		}
	}
	token, err := create(ctx, in)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(token)
	}
	return p.print("%s\n", token.Secret) // alone, for a file or a variable
}

// maxExpiry is the longest length of time that is read.
const maxExpiry = 36500 * 24 * time.Hour

// expiry reads a length of time, of days too.
func expiry(s string) (time.Duration, bool) {
	if days, found := strings.CutSuffix(s, "d"); found {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0 && n <= int(maxExpiry/(24*time.Hour))
	}
	d, err := time.ParseDuration(s)
	return d, err == nil && d > 0 && d <= maxExpiry
}
