package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

// Accounts is the account of who asks; nobody's is an error that matches [fault.ErrSignedOut].
type Accounts interface {
	// Account also returns the token that the request uses, nil for none.
	Account(ctx context.Context) (access.User, *access.Token, error)
	// Tokens returns the user's, newest first.
	Tokens(ctx context.Context) ([]access.Token, error)
	// CreateToken takes name, scopes, project and expiry; the secret is not kept. What is not valid is [run.FieldErrors].
	CreateToken(ctx context.Context, t access.Token) (token access.Token, secret string, err error)
	RevokeToken(ctx context.Context, id access.TokenID) error
}

// errNoAccounts is the fault of a console without log-in.
var errNoAccounts = fault.New(fault.ErrNotPossible, "This console was started with --dev: it has no log-in, and no tokens.", "Leave the token out.")

func (s *server) getAccount(ctx context.Context, _ *struct{}) (out client.Account, err error) {
	who := access.From(ctx)
	user, token := access.User{ID: who.User, Name: who.Name, Administrator: who.Administrator}, (*access.Token)(nil)
	if s.Accounts != nil {
		if user, token, err = s.Accounts.Account(ctx); err != nil {
			return out, err
		}
	}
	roles := who.Roles
	if roles == nil {
		roles = map[string]access.Role{}
	}
	return client.Account{User: user.ID, Name: user.Name, DisplayName: user.DisplayName, Administrator: user.Administrator, Roles: roles, Token: token}, nil
}

func (s *server) listTokens(ctx context.Context, _ *struct{}) (out client.TokenList, err error) {
	if s.Accounts == nil {
		return out, errNoAccounts
	}
	all, err := s.Accounts.Tokens(ctx)
	return client.TokenList{Items: notNil(all)}, err
}

type createTokenInput struct{ Body client.TokenInput }

// secretOutput is not compressed, so that its length tells nothing, nor kept by anything on its way.
type secretOutput[T any] struct {
	Uncompressed string `header:"No-Gzip-Compression"`
	CacheControl string `header:"Cache-Control"`
	Body         T
}

func secret[T any](body T) *secretOutput[T] { return &secretOutput[T]{"secret", "no-store", body} }

func (s *server) createToken(ctx context.Context, in *createTokenInput) (*secretOutput[client.NewToken], error) {
	if s.Accounts == nil {
		return nil, errNoAccounts
	}
	t, text, err := s.Accounts.CreateToken(ctx, access.Token{Name: in.Body.Name, Scopes: in.Body.Scopes, Project: in.Body.Project, ExpiresAt: in.Body.ExpiresAt})
	if err != nil {
		return nil, err
	}
	return secret(client.NewToken{Token: t, Secret: text}), nil
}

type tokenParam struct {
	ID access.TokenID `path:"id" doc:"ID of the token"`
}

func (s *server) revokeToken(ctx context.Context, in *tokenParam) (*struct{}, error) {
	if s.Accounts == nil {
		return nil, errNoAccounts
	}
	return nil, s.Accounts.RevokeToken(ctx, in.ID)
}
