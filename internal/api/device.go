package api

import (
	"context"
	"net/url"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

// Programs signs programs in that a person agrees to in a browser.
type Programs interface {
	BeginProgram(ctx context.Context, asks access.Program) (access.ProgramCodes, error)
	// EndProgram returns the token, once, or none and how long to wait before the next question.
	EndProgram(ctx context.Context, secret string) (token access.Token, tokenSecret string, wait time.Duration, err error)
	RevokeOwnToken(ctx context.Context) error
}

// devicePage is where a person agrees.
const devicePage = "/device"

type deviceInput struct{ Body client.DeviceInput }

func (s *server) beginDevice(ctx context.Context, in *deviceInput) (*secretOutput[client.DeviceCodes], error) {
	if s.Programs == nil {
		return nil, errNoAccounts
	}
	codes, err := s.Programs.BeginProgram(ctx, access.Program{Name: in.Body.Name, Scopes: in.Body.Scopes, Project: in.Body.Project})
	if err != nil {
		return nil, err
	}
	page := s.PublicURL + devicePage
	return secret(client.DeviceCodes{
		DeviceCode: codes.Secret, UserCode: codes.User, VerificationURI: page, VerificationURIComplete: page + "?" + url.Values{"code": {codes.User}}.Encode(),
		Interval: int(codes.Every / time.Second), ExpiresIn: int(codes.Lifetime / time.Second),
	}), nil
}

type deviceQuestion struct{ Body client.DeviceQuestion }

func (s *server) pollDevice(ctx context.Context, in *deviceQuestion) (*secretOutput[client.DeviceAnswer], error) {
	if s.Programs == nil {
		return nil, errNoAccounts
	}
	token, tokenSecret, wait, err := s.Programs.EndProgram(ctx, in.Body.DeviceCode)
	if err != nil {
		return nil, err
	}
	out := client.DeviceAnswer{Interval: int(wait / time.Second)}
	if tokenSecret != "" {
		out.Token = &client.NewToken{Token: token, Secret: tokenSecret}
	}
	return secret(out), nil
}

func (s *server) revokeOwnToken(ctx context.Context, _ *struct{}) (*struct{}, error) {
	if s.Programs == nil {
		return nil, errNoAccounts
	}
	return nil, s.Programs.RevokeOwnToken(ctx)
}
