package auth

import (
	"context"
	"errors"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth/oidc"
	"github.com/cotrain/cotrain/internal/fault"
)

// What the audit log calls what is done here.
const (
	actionLogIn       = "login"
	actionLogOut      = "logout"
	actionJoin        = "login.join"   // somebody whom the provider knows is a new user
	actionGroups      = "login.groups" // what groups at the provider give has changed
	actionSetUp       = "setup"
	actionPassword    = "password.change"
	actionEndSessions = "sessions.end"
	actionCreateToken = "tokens.create"
	actionRevokeToken = "tokens.revoke"

	actionSetFactor    = "factor.set"
	actionRemoveFactor = "factor.remove"

	actionAddPasskey    = "passkey.add"
	actionRenamePasskey = "passkey.rename"
	actionRemovePasskey = "passkey.remove"

	actionApproveProgram = "program.approve"
	actionDenyProgram    = "program.deny"

	actionCreateUser    = "user.create"
	actionChangeUser    = "user.change"
	actionDisableUser   = "user.disable"
	actionEnableUser    = "user.enable"
	actionDeleteUser    = "user.delete"
	actionResetPassword = "password.reset"
	actionLink          = "identity.link"
	actionUnlink        = "identity.unlink"

	actionCreateProject = "project.create"
	actionSetProject    = "project.settings"
	actionDeleteProject = "project.delete"
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
	switch {
	case user.Disabled:
		e.Reason = user.Name + " is disabled."
	case user.Kind == access.Service:
		e.Reason = user.Name + " is a service account, which does not sign in."
	}
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

// denied has the audit log tell that what who asks wanted to do was refused, which is the error.
func (s *Service) denied(ctx context.Context, action, project string, err error) error {
	actor, request := audit.ActorOf(ctx)
	s.append(ctx, audit.Entry{At: s.now(), Actor: actor, Request: request, Action: action, Subject: "user:" + actor.Name, Project: project, Outcome: audit.Refused, Reason: fault.Of(err).What})
	return err
}

// inBrowser refuses who is not signed in with a browser.
func (s *Service) inBrowser(ctx context.Context, action string) error {
	if access.From(ctx).Session == "" {
		return s.denied(ctx, action, "", errInBrowser)
	}
	return nil
}

// append has the audit log tell of a refusal, which stands also when that fails.
func (s *Service) append(ctx context.Context, e audit.Entry) {
	if err := s.audit.AppendAlone(context.WithoutCancel(ctx), e); err != nil {
		s.log.Warn("a refusal is not in the audit log", "action", e.Action, "actor", e.Actor.Name, "err", err)
	}
}

// refusedAtProvider has the audit log tell of a log-in at the provider that was refused, and of whom. That it, or the store,
// was away is no refusal.
func (s *Service) refusedAtProvider(ctx context.Context, user access.User, p oidc.Person, err error) {
	f := fault.Of(err)
	if f.Kind.Temporary() || f.Kind.Status() >= http.StatusInternalServerError {
		return
	}
	actor, request := audit.ActorOf(ctx)
	actor.User, actor.Name = user.ID, user.Name
	e := audit.Entry{At: s.now(), Actor: actor, Request: request, Action: actionLogIn, Outcome: audit.Refused, Reason: f.What}
	if user.Name != "" {
		e.Subject = "user:" + user.Name
	}
	if p.Subject != "" {
		told, err := audit.Value(map[string]string{"issuer": p.Issuer, "subject": p.Subject, "name": p.Name})
		if err != nil {
			s.log.Warn("who was refused is not in the audit log", "err", err)
		}
		e.After = told
	}
	if err := s.audit.AppendAlone(context.WithoutCancel(ctx), e); err != nil {
		s.log.Warn("a refused log-in is not in the audit log", "err", err)
	}
}
