package auth

import (
	"context"
	"fmt"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// ProviderName is that of the provider of log-ins, "" for none.
func (s *Service) ProviderName() string {
	if s.provider == nil {
		return ""
	}
	return s.provider.Name
}

// Identities returns who a user is at providers.
func (s *Service) Identities(ctx context.Context, name string) ([]access.ProviderIdentity, error) {
	u, err := s.User(ctx, name)
	if err != nil {
		return nil, err
	}
	return s.accounts.Identities(ctx, u.ID)
}

// LinkIdentity lets whoever has a subject at the provider sign in as a user.
func (s *Service) LinkIdentity(ctx context.Context, name, subject string) error {
	if s.provider == nil {
		return fault.New(fault.ErrConflict, "The console has no log-in provider.", "Set oidc.issuer first.")
	}
	subject = strings.TrimSpace(subject)
	errs := checkLine("subject", subject)
	if subject == "" {
		errs = run.FieldErrors{{Field: "subject", Rule: "is empty", Fix: "the page on which the log-in was refused tells it, and the audit log"}}
	}
	return s.toUser(ctx, name, actionLink, func(ctx context.Context, id access.UserID) error {
		u, err := s.accounts.User(ctx, id)
		switch {
		case err != nil:
			return err
		case len(errs) > 0:
			return errs
		case u.Kind != access.Person:
			return fault.New(fault.ErrNotPossible, fmt.Sprintf("%s is a service account, which does not sign in.", u.Name), "Give it a token.")
		}
		return s.accounts.LinkIdentity(ctx, access.ProviderIdentity{Issuer: s.provider.Issuer, Subject: subject, User: id, CreatedAt: s.now()})
	})
}

// UnlinkIdentity takes that back, with what groups gave to the user, and ends the sessions that began so.
func (s *Service) UnlinkIdentity(ctx context.Context, name, issuer, subject string) error {
	return s.toUser(ctx, name, actionUnlink, func(ctx context.Context, id access.UserID) error {
		return s.accounts.UnlinkIdentity(ctx, access.ProviderIdentity{Issuer: issuer, Subject: subject, User: id})
	})
}
