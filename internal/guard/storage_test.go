package guard_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
)

func TestEverybodyLooksAtTheStorageOfTheirProject(t *testing.T) {
	t.Parallel()
	type roles = map[string]access.Role
	v := access.Viewer
	some := func(r roles) access.Identity { return access.Identity{User: "u1", Name: "ann", Roles: r} }
	for name, c := range map[string]struct {
		who     access.Identity
		project string
		path    string
		err     error
	}{
		"the one named":                       {some(roles{theirs: v, "audio": v}), "audio", "/teams/audio", nil},
		"the only one":                        {some(roles{theirs: v}), "", "/teams/vision", nil},
		"one without a folder":                {some(roles{"text": v}), "", "/", nil},
		"several without a folder":            {some(roles{"text": v, "default": v}), "", "/", nil},
		"several with folders":                {some(roles{theirs: v, "audio": v}), "", "", fault.ErrInvalid},
		"one with and one without":            {some(roles{theirs: v, "text": v}), "", "", fault.ErrInvalid},
		"somebody else's":                     {some(roles{"text": access.Admin}), theirs, "", fault.ErrNotFound},
		"what is no project":                  {some(roles{"text": access.Admin}), "nowhere", "", fault.ErrNotFound},
		"an administrator's":                  {access.Local(), "", "/", nil},
		"an administrator's of a project":     {access.Local(), theirs, "/teams/vision", nil},
		"an administrator's of none":          {access.Local(), "nowhere", "", fault.ErrNoProject},
		"of an administrator's token for one": {access.Identity{User: "u", Administrator: true, Limit: &access.Limit{Project: "audio", Scopes: []access.Scope{access.ScopeRead}}}, "", "/teams/audio", nil},
		"of a token to stop":                  {access.Identity{User: "u", Roles: roles{theirs: access.Admin}, Limit: &access.Limit{Scopes: []access.Scope{access.Scope(access.RunsStop)}}}, "", "", fault.ErrForbidden},
		"nobody's":                            {access.Identity{}, theirs, "", fault.ErrSignedOut},
		"nobody's of no project":              {access.Identity{}, "", "", fault.ErrSignedOut},
		"of one who is in no project":         {some(nil), "", "", fault.ErrForbidden},
	} {
		g, b := newGuard(t)
		s, err := storages(g, b).In(access.With(t.Context(), c.who), c.project)
		if !errors.Is(err, c.err) || err == nil && s.Path() != c.path {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
}

func TestRightsToStorageAreThoseInTheProjectsThatShareIt(t *testing.T) {
	t.Parallel()
	type roles = map[string]access.Role
	for name, c := range map[string]struct {
		roles   roles
		project string
		may     bool
	}{
		"an admin":                                   {roles{theirs: access.Admin}, theirs, true},
		"an operator":                                {roles{theirs: access.Operator}, theirs, false},
		"a viewer who is an admin elsewhere":         {roles{theirs: access.Viewer, "audio": access.Admin, "text": access.Admin}, theirs, false},
		"of nobody's, an admin of its projects":      {roles{"text": access.Admin}, "", true},
		"of nobody's, by another project":            {roles{"text": access.Viewer, "default": access.Admin}, "text", true},
		"of nobody's, an admin of one with a folder": {roles{"text": access.Viewer, theirs: access.Admin}, "text", false},
	} {
		g, b := newGuard(t)
		ctx := as(t.Context(), c.roles)
		s, err := storages(g, b).In(ctx, c.project)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, deleted := s.Delete(ctx, "models/x")
		_, _, repaired := s.Repair(ctx)
		for what, err := range map[string]error{"delete": deleted, "repair": repaired} {
			if c.may && err != nil || !c.may && !errors.Is(err, fault.ErrForbidden) {
				t.Errorf("%s: %s: %v", name, what, err)
			}
		}
		if s.May(ctx, access.StorageDelete) != c.may {
			t.Errorf("%s: may %v", name, !c.may)
		}
		if _, err := s.List(ctx, "", storage.Query{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !c.may && (len(b.log) != 2 || b.log[0].Outcome != audit.Refused || b.log[0].Project != c.project) {
			t.Errorf("%s: in the audit log: %+v", name, b.log)
		}
	}
}

func TestADraftIsJudgedInAProjectWhereItCanBeSubmitted(t *testing.T) {
	t.Parallel()
	op := access.Operator
	for name, c := range map[string]struct {
		ctx     func(context.Context) context.Context
		project string
		through []string
	}{
		"the one named": {func(ctx context.Context) context.Context { return as(ctx, map[string]access.Role{theirs: op}) }, theirs, []string{"Check of " + theirs}},
		"the only one":  {func(ctx context.Context) context.Context { return as(ctx, map[string]access.Role{theirs: op}) }, "", []string{"Check of " + theirs}},
		"one of several": {func(ctx context.Context) context.Context {
			return as(ctx, map[string]access.Role{theirs: op, "text": op})
		}, "", nil},
		"a viewer": {func(ctx context.Context) context.Context {
			return as(ctx, map[string]access.Role{theirs: access.Viewer})
		}, theirs, nil},
		"nobody":            {func(ctx context.Context) context.Context { return ctx }, theirs, nil},
		"what is not there": {func(ctx context.Context) context.Context { return access.With(ctx, access.Local()) }, "nowhere", nil},
	} {
		g, b := newGuard(t)
		_, _ = g.Check(c.ctx(t.Context()))(run.Submission{Project: c.project})
		if !slices.Equal(b.through, c.through) || len(b.log) > 0 {
			t.Errorf("%s: through %v, in the audit log %v", name, b.through, b.log)
		}
	}
}
