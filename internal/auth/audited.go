package auth

import (
	"context"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
)

// What the audit log calls what is done here.
const (
	actionLogIn       = "login"
	actionLogOut      = "logout"
	actionSetUp       = "setup"
	actionPassword    = "password.change"
	actionEndSessions = "sessions.end"
	actionCreateToken = "tokens.create"
	actionRevokeToken = "tokens.revoke"
)

// audited returns a context whose next change is an entry of the audit log, by who is signed in.
func (s *Service) audited(ctx context.Context, action string) context.Context {
	actor, request := audit.ActorOf(ctx)
	ctx, _ = audit.Begin(ctx, audit.Entry{At: s.now(), Actor: actor, Request: request, Action: action, Subject: "user:" + actor.Name})
	return ctx
}

// auditedAs is audited by a user who is about to be signed in.
func (s *Service) auditedAs(ctx context.Context, user access.User, action string) context.Context {
	return s.audited(access.With(ctx, access.Identity{User: user.ID, Name: user.Name}), action)
}
