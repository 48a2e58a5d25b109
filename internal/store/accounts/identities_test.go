package accounts_test

import (
	"context"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
)

const issuer = "https://id.example"

func identity(subject string, user access.UserID) access.ProviderIdentity {
	return access.ProviderIdentity{Issuer: issuer, Subject: subject, User: user, CreatedAt: epoch}
}

func TestAnIdentityIsOneUsers(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		eve := person("eve", false)
		must(t, s.CreateFromIdentity(ctx, eve, identity("1", eve.ID)))
		wants(t, fault.ErrConflict, s.CreateFromIdentity(ctx, person("fay", false), identity("1", "u-fay")))
		wants(t, fault.ErrConflict, s.CreateFromIdentity(ctx, person("ann", false), identity("2", "u-other"))) // ann's name
		wants(t, fault.ErrConflict, s.LinkIdentity(ctx, identity("1", "u-cyd")))
		wants(t, fault.ErrNoUser, s.LinkIdentity(ctx, identity("3", "u-none")))
		for _, c := range []struct{ issuer, subject string }{{issuer, "2"}, {issuer, "3"}, {"https://other.example", "1"}, {issuer, ""}, {"", "1"}} {
			_, err := s.ByIdentity(ctx, c.issuer, c.subject)
			wants(t, fault.ErrNoUser, err)
		}
		if u, err := s.ByIdentity(ctx, issuer, "1"); err != nil || u.ID != eve.ID || u.HasPassword {
			t.Errorf("%+v, %v", u, err)
		}
		must(t, s.LinkIdentity(ctx, identity("4", "u-cyd")))
		got, err := s.Identities(ctx, "u-cyd")
		must(t, err)
		same(t, "identities", got, []access.ProviderIdentity{identity("4", "u-cyd")})

		must(t, s.DeleteUser(ctx, eve.ID))
		if u, err := s.ByIdentity(ctx, issuer, "1"); err != nil || !u.Deleted {
			t.Errorf("a deleted user is forgotten: %+v, %v", u, err)
		}
		must(t, s.LinkIdentity(ctx, identity("1", "u-cyd")))
		if u, err := s.ByIdentity(ctx, issuer, "1"); err != nil || u.ID != "u-cyd" {
			t.Errorf("%+v, %v", u, err)
		}
	})
}

func TestALogInComesBackOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.UseLogIn(ctx, "a", epoch))
		must(t, s.UseLogIn(ctx, "b", epoch))
		wants(t, fault.ErrSignedOut, s.UseLogIn(ctx, "a", epoch.Add(time.Minute)))
		must(t, s.DropExpired(ctx, epoch.Add(time.Hour), epoch, epoch))
		wants(t, fault.ErrSignedOut, s.UseLogIn(ctx, "a", epoch))
		must(t, s.DropExpired(ctx, epoch.Add(time.Hour+time.Millisecond), epoch, epoch))
		must(t, s.UseLogIn(ctx, "a", epoch))
	})
}

func TestWhatGroupsGiveIsKeptApartFromWhatIsGivenByHand(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx, _ := audit.Begin(t.Context(), audit.Entry{Action: "groups"})
		team(t, s)
		must(t, s.CreateProject(ctx, access.Project{Name: "vision"}))
		must(t, s.SetMember(ctx, "vision", "u-cyd", access.Admin))
		must(t, s.SetMember(ctx, access.DefaultProject, "u-cyd", access.Viewer))
		grants := func(all ...access.Grant) map[string]access.Grant {
			out := map[string]access.Grant{}
			for _, g := range all {
				out[g.Project] = g
			}
			return out
		}
		entries := func() int {
			page, err := s.Audit.Search(ctx, audit.Filter{AllProjects: true, Action: "groups", Subject: "user:cyd", Limit: 100})
			must(t, err)
			return len(page.Rows)
		}
		before := entries()
		must(t, s.SetGroupGrants(ctx, "u-cyd", grants(access.Grant{}, access.Grant{Project: access.DefaultProject, Role: access.Operator}, access.Grant{Project: "vision", Role: access.Viewer}, access.Grant{Project: "none", Role: access.Admin})))
		if n := entries() - before; n != 3 { // the console, default, vision
			t.Errorf("%d entries, want 3", n)
		}
		st := state(t, s)
		if u := st.Users[2]; u.Administrator || !u.ByGroups {
			t.Errorf("%+v", u)
		}
		same(t, "members", st.Members, []access.Member{
			{Project: "default", User: "u-cyd", Name: "cyd", Kind: access.Person, Role: access.Viewer, ByGroups: access.Operator},
			{Project: "vision", User: "u-cyd", Name: "cyd", Kind: access.Person, Role: access.Admin, ByGroups: access.Viewer},
		})
		if a, b := st.Members[0].Effective(), st.Members[1].Effective(); a != access.Operator || b != access.Admin {
			t.Errorf("they count as %s and %s", a, b)
		}

		// What is taken by hand was given by hand.
		must(t, s.SetMember(ctx, access.DefaultProject, "u-cyd", ""))
		wants(t, fault.ErrConflict, s.SetMember(ctx, access.DefaultProject, "u-cyd", ""))
		_, after, err := s.ChangeUser(ctx, "u-cyd", func(u *access.User) error { u.Email = "cyd@example.org"; return nil })
		if err != nil || after.Administrator || !after.ByGroups {
			t.Errorf("%+v, %v", after, err)
		}
		before = entries()
		must(t, s.SetGroupGrants(ctx, "u-cyd", grants(access.Grant{Project: access.DefaultProject, Role: access.Operator})))
		if n := entries() - before; n != 2 {
			t.Errorf("%d entries, want 2", n)
		}
		st = state(t, s)
		same(t, "members", st.Members, []access.Member{
			{Project: "default", User: "u-cyd", Name: "cyd", Kind: access.Person, ByGroups: access.Operator}, {Project: "vision", User: "u-cyd", Name: "cyd", Kind: access.Person, Role: access.Admin},
		})
		if st.Users[2].ByGroups {
			t.Error("who left the group is an administrator")
		}

		// Somebody who administers because of groups is nobody to rely on.
		must(t, s.SetGroupGrants(ctx, "u-cyd", grants(access.Grant{})))
		must(t, removals(s, t)["demoted"]("u-bob"))
		wants(t, fault.ErrConflict, removals(s, t)["demoted"]("u-ann"))

		must(t, s.LinkIdentity(ctx, identity("1", "u-cyd")))
		must(t, s.CreateSession(context.WithoutCancel(ctx), "k1", access.Session{ID: "s1", User: "u-cyd", Issuer: issuer}, "hash"))
		must(t, s.CreateSession(ctx, "k2", access.Session{ID: "s2", User: "u-cyd"}, "hash"))
		wants(t, fault.ErrNotFound, s.UnlinkIdentity(ctx, identity("2", "u-cyd")))
		must(t, s.UnlinkIdentity(ctx, identity("1", "u-cyd")))
		left, err := s.GroupGrants(ctx, "u-cyd")
		sessions, err2 := s.Sessions(ctx, "u-cyd")
		if err != nil || err2 != nil || len(left) != 0 || len(sessions) != 1 || sessions[0].ID != "s2" || sessions[0].Issuer != "" {
			t.Errorf("left are %v, %v, %v, %v", left, sessions, err, err2)
		}
	})
}
