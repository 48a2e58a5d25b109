package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/cotrain/cotrain/internal/access"
)

const tokensPath = "/api/v1/tokens" //nolint:gosec // a path, and no credentials

// Account is who asks.
type Account struct {
	User          access.UserID          `json:"user"`
	Name          string                 `json:"name" doc:"Login name"`
	DisplayName   string                 `json:"display_name,omitempty"`
	Administrator bool                   `json:"administrator" doc:"May do everything in every project"`
	Roles         map[string]access.Role `json:"roles" doc:"By project"`
	Token         *access.Token          `json:"token,omitempty" doc:"The API token that the request used; it may narrow what the user may do"`
}

// Account reads who asks.
func (c *Client) Account(ctx context.Context) (Account, error) {
	return get[Account](ctx, c, "/api/v1/account", nil)
}

// TokenList is API tokens.
type TokenList struct {
	Items []access.Token `json:"items" nullable:"false" doc:"Newest first"`
}

// Tokens lists the API tokens of who asks.
func (c *Client) Tokens(ctx context.Context) (TokenList, error) {
	return get[TokenList](ctx, c, tokensPath, nil)
}

// TokenInput is a new API token.
type TokenInput struct {
	Name      string         `json:"name" doc:"What it is for"`
	Scopes    []access.Scope `json:"scopes" nullable:"false" doc:"read, write, all, or rights such as runs.submit"`
	Project   string         `json:"project,omitempty" doc:"The only project that it is for"`
	ExpiresAt time.Time      `json:"expires_at,omitzero" doc:"Left out, it does not expire"`
}

// NewToken is an API token that was just made.
type NewToken struct {
	access.Token
	Secret string `json:"secret" doc:"What a client sends as Authorization: Bearer; it is not shown again"`
}

// CreateToken makes an API token.
func (c *Client) CreateToken(ctx context.Context, in TokenInput) (out NewToken, err error) {
	return out, c.send(ctx, http.MethodPost, tokensPath, in, &out)
}

// RevokeToken revokes an API token.
func (c *Client) RevokeToken(ctx context.Context, id access.TokenID) error {
	return c.send(ctx, http.MethodDelete, tokensPath+"/"+url.PathEscape(string(id)), nil, nil)
}
