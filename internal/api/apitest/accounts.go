package apitest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Account is for [api.Deps]: everybody is ann, without a token.
func (c *Console) Account(context.Context) (access.User, *access.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return access.User{ID: "u-ann", Name: "ann", Administrator: true}, nil, c.fail
}

// Tokens is for [api.Deps].
func (c *Console) Tokens(context.Context) ([]access.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.tokens), c.fail
}

// CreateToken is for [api.Deps]: the secret of a token is its ID after "ctk_".
func (c *Console) CreateToken(_ context.Context, t access.Token) (access.Token, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Name == "" {
		return t, "", run.FieldErrors{{Field: "name", Rule: "is empty", Fix: "say what the token is for"}}
	}
	t.ID, t.User, t.CreatedAt = access.TokenID(fmt.Sprintf("token%d", len(c.tokens)+1)), "u-ann", c.clock
	c.tokens = append([]access.Token{t}, c.tokens...)
	return t, "ctk_" + string(t.ID), c.fail
}

// BeginProgram is for [api.Deps].
func (c *Console) BeginProgram(_ context.Context, asks access.Program) (access.ProgramCodes, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if asks.Name == "" {
		return access.ProgramCodes{}, run.FieldErrors{{Field: "name", Rule: "is empty", Fix: "say what the token is for"}}
	}
	c.asks, c.asked = &asks, 0
	return access.ProgramCodes{Secret: "device-secret", User: "BCDF-GHJK", Every: 5 * time.Second, Lifetime: 10 * time.Minute}, c.fail
}

// EndProgram is for [api.Deps]: a person agrees at the third question, but for what a machine called mallory asks.
func (c *Console) EndProgram(ctx context.Context, secret string) (access.Token, string, time.Duration, error) {
	c.mu.Lock()
	asks := c.asks
	c.asked++
	asked := c.asked
	c.mu.Unlock()
	switch {
	case asks == nil || secret != "device-secret":
		return access.Token{}, "", 0, fault.ErrNotFound
	case asked < 3:
		return access.Token{}, "", time.Duration(5*asked) * time.Second, nil
	case asks.Name == "mallory":
		return access.Token{}, "", 0, fault.New(fault.ErrForbidden, "The log-in was denied in the browser.", "")
	}
	t, text, err := c.CreateToken(ctx, access.Token{Name: asks.Name, Scopes: asks.Scopes, Project: asks.Project, ExpiresAt: c.clock.AddDate(0, 0, 90)})
	return t, text, 0, err
}

// RevokeOwnToken is for [api.Deps]: of the newest token.
func (c *Console) RevokeOwnToken(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.tokens) == 0 {
		return fault.ErrNoToken
	}
	c.tokens = c.tokens[1:]
	return c.fail
}

// RevokeToken is for [api.Deps].
func (c *Console) RevokeToken(_ context.Context, id access.TokenID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.tokens, func(t access.Token) bool { return t.ID == id })
	if i < 0 {
		return fault.ErrNoToken
	}
	c.tokens = slices.Delete(c.tokens, i, i+1)
	return c.fail
}
