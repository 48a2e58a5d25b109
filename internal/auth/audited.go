package auth

import (
	"context"
	"errors"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
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

	actionApproveProgram = "program.approve"
	actionDenyProgram    = "program.deny"
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

// refused has the audit log tell of a log-in with a wrong name or password. Those that the lock-out refuses are not told: they
// are as many as somebody sends.
func (s *Service) refused(ctx context.Context, user access.User, err error) {
	if !errors.Is(err, fault.ErrSignedOut) {
		return
	}
	actor, request := audit.ActorOf(ctx)
	actor.User, actor.Name = user.ID, user.Name // none where nobody has the name, which may be a password
	e := audit.Entry{At: s.now(), Actor: actor, Request: request, Action: actionLogIn, Outcome: audit.Refused, Reason: fault.Of(err).What}
	if user.Name != "" {
		e.Subject = "user:" + user.Name
	}
	s.append(ctx, e)
}

// refusedRight has the audit log tell that who asks does not have a right.
func (s *Service) refusedRight(ctx context.Context, right access.Right, project string) {
	actor, request := audit.ActorOf(ctx)
	e := audit.Entry{At: s.now(), Actor: actor, Request: request, Action: string(right), Project: project, Outcome: audit.Refused, Reason: fault.ErrForbidden.Fault().Title}
	if project != "" {
		e.Subject = access.Subject{Kind: access.SubjectProject, ID: project}.String()
	}
	s.append(ctx, e)
}

// append has the audit log tell of a refusal, which stands also when that fails.
func (s *Service) append(ctx context.Context, e audit.Entry) {
	if err := s.audit.AppendAlone(context.WithoutCancel(ctx), e); err != nil {
		s.log.Warn("a refusal is not in the audit log", "action", e.Action, "actor", e.Actor.Name, "err", err)
	}
}
