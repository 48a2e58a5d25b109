package apitest

import (
	"context"
	"fmt"
	"slices"

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
