package accounts_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/transfer"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// onBoth runs a test on an empty store of each kind, and on one that repeats each transaction.
func onBoth(t *testing.T, test func(*testing.T, *store.Store)) {
	t.Helper()
	t.Parallel()
	for name, options := range map[string]func() db.Options{
		"SQLite":     func() db.Options { return db.Options{} },
		"twice":      func() db.Options { return db.Options{Twice: true} },
		"PostgreSQL": func() db.Options { return db.Options{URL: pgtest.URL(t), MaxConns: 4} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := store.OpenAt(t.Context(), t.TempDir(), options())
			must(t, err)
			t.Cleanup(func() { must(t, s.Close()) })
			test(t, s)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t testing.TB, kind fault.Kind, err error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want %v", err, kind)
	}
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, d)
	}
}

func person(name string, administrator bool) access.User {
	return access.User{ID: access.UserID("u-" + name), Name: name, Kind: access.Person, Administrator: administrator, CreatedAt: epoch}
}

// team makes the administrators ann and bob, and cyd, all with the password hash "hash".
func team(t *testing.T, s *store.Store) {
	t.Helper()
	for _, u := range []access.User{person("ann", true), person("bob", true), person("cyd", false)} {
		must(t, s.CreateUser(t.Context(), u, "hash"))
	}
}

func state(t testing.TB, s *store.Store) accounts.State {
	t.Helper()
	st, err := s.Access(t.Context())
	must(t, err)
	return st
}

func TestUsersProjectsAndMembersComeBackAsTheyWereStored(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		same(t, "an empty store", state(t, s), accounts.State{Projects: []access.Project{{Name: access.DefaultProject}}})
		team(t, s)
		robot := access.User{ID: "u-robot", Name: "robot", Kind: access.Service, DisplayName: "Nightly", Email: "x@example.org", CreatedAt: epoch}
		must(t, s.CreateUser(ctx, robot, ""))
		must(t, s.CreateProject(ctx, access.Project{Name: "vision", Description: "images", CreatedAt: epoch}))
		must(t, s.CreateProject(ctx, access.Project{Name: "audio", CreatedAt: epoch}))
		set := access.Settings{Namespace: "a", NodePool: "b", Folder: "c/d", Limits: access.Limits{Workers: 1, GPUs: 2, Priority: 3, MaxDuration: 4}}
		describe := func(project, description string) error {
			after, err := s.ChangeProject(ctx, project, func(p *access.Project) error {
				p.Description, p.Settings = description, set
				return nil
			})
			if err == nil && (after.Name != project || after.Settings != set) {
				t.Errorf("after: %+v", after)
			}
			return err
		}
		must(t, describe("audio", "sounds"))
		wants(t, fault.ErrInvalid, describe("vision", "in the folder of another"))
		set = access.Settings{NodePool: "all"}
		must(t, describe(access.DefaultProject, "all else"))
		must(t, s.SetMember(ctx, "vision", "u-cyd", access.Viewer))
		must(t, s.SetMember(ctx, "vision", "u-cyd", access.Admin))
		must(t, s.SetMember(ctx, access.DefaultProject, "u-robot", access.Operator))
		must(t, s.SetMember(ctx, "audio", "u-cyd", access.Viewer))
		must(t, s.SetMember(ctx, "audio", "u-cyd", ""))

		ann, bob, cyd := person("ann", true), person("bob", true), person("cyd", false)
		ann.HasPassword, bob.HasPassword, cyd.HasPassword = true, true, true
		st := state(t, s)
		same(t, "users", st.Users, []access.User{ann, bob, cyd, robot})
		same(t, "projects", st.Projects, []access.Project{{Name: "audio", Description: "sounds", CreatedAt: epoch, Settings: access.Settings{Namespace: "a", NodePool: "b", Folder: "c/d", Limits: access.Limits{Workers: 1, GPUs: 2, Priority: 3, MaxDuration: 4}}}, {Name: "default", Description: "all else", Settings: set}, {Name: "vision", Description: "images", CreatedAt: epoch}})
		same(t, "members", st.Members, []access.Member{{Project: "default", User: "u-robot", Name: "robot", Kind: access.Service, Role: access.Operator}, {Project: "vision", User: "u-cyd", Name: "cyd", Kind: access.Person, Role: access.Admin}})

		wants(t, fault.ErrNoProject, s.SetMember(ctx, "none", "u-cyd", access.Viewer))
		wants(t, fault.ErrNoUser, s.SetMember(ctx, "vision", "u-none", access.Viewer))
		wants(t, fault.ErrNoUser, s.SetMember(ctx, "vision", "u-robot", ""))
		wants(t, fault.ErrConflict, s.CreateProject(ctx, access.Project{Name: "default"}))
		wants(t, fault.ErrConflict, s.CreateProject(ctx, access.Project{Name: "audio"}))
		wants(t, fault.ErrNoProject, describe("none", ""))
	})
}

func TestEachChangeRaisesTheRevision(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		must(t, s.CreateSession(ctx, "key", access.Session{ID: "s1", User: "u-cyd"}, "hash"))
		before, err := s.AccessRevision(ctx)
		must(t, err)
		for _, c := range []struct {
			what   string
			change func() error
		}{
			{"a user", func() error { return s.CreateUser(ctx, person("dan", false), "") }},
			{"an administrator", func() error {
				_, _, err := s.ChangeUser(ctx, "u-cyd", func(u *access.User) error { u.Administrator = true; return nil })
				return err
			}},
			{"a project", func() error { return s.CreateProject(ctx, access.Project{Name: "vision"}) }},
			{"a member", func() error { return s.SetMember(ctx, "vision", "u-cyd", access.Viewer) }},
			{"a token", func() error { return s.CreateToken(ctx, "k", access.Token{ID: "t1", User: "u-cyd"}) }},
			{"a revoked token", func() error { return s.RevokeToken(ctx, "u-cyd", "t1") }},
			{"an ended session", func() error { return s.EndSession(ctx, "u-cyd", "s1") }},
			{"ended sessions", func() error { return s.EndSessions(ctx, "u-cyd", "") }},
			{"a password", func() error { return s.SetPassword(ctx, "u-cyd", "new", false, "") }},
			{"a deleted project", func() error { return s.DeleteProject(ctx, "vision") }},
			{"a deleted user", func() error { return s.DeleteUser(ctx, "u-cyd") }},
		} {
			must(t, c.change())
			after, err := s.AccessRevision(ctx)
			must(t, err)
			if after <= before {
				t.Errorf("%s: revision %d after %d", c.what, after, before)
			}
			before = after
		}
		if st := state(t, s); st.Revision != before {
			t.Errorf("the state is of revision %d, want %d", st.Revision, before)
		}
		wants(t, fault.ErrNoUser, s.DeleteUser(ctx, "u-cyd"))
		if after, err := s.AccessRevision(ctx); err != nil || after != before {
			t.Errorf("what failed raised the revision to %d, %v", after, err)
		}
	})
}

func TestTheNameOfADeletedUserIsNotGivenAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		must(t, s.SetMember(ctx, access.DefaultProject, "u-cyd", access.Viewer))
		must(t, s.CreateSession(ctx, "key", access.Session{ID: "s1", User: "u-cyd"}, "hash"))
		must(t, s.CreateToken(ctx, "key", access.Token{ID: "t1", User: "u-cyd"}))
		must(t, s.RememberDevice(ctx, "key", "u-cyd", epoch))
		must(t, s.DeleteUser(ctx, "u-cyd"))

		again := person("cyd", false)
		again.ID = "u-other"
		wants(t, fault.ErrConflict, s.CreateUser(ctx, again, ""))
		_, err := s.User(ctx, "u-cyd")
		wants(t, fault.ErrNoUser, err)
		_, err = s.SessionByKey(ctx, "key")
		wants(t, fault.ErrNoSession, err)
		_, err = s.TokenByKey(ctx, "key")
		wants(t, fault.ErrNoToken, err)
		if known, err := s.KnowsDevice(ctx, "key", "u-cyd"); err != nil || known {
			t.Errorf("its device is known: %v, %v", known, err)
		}
		if hash, err := s.Password(ctx, "u-cyd"); err != nil || hash != "" {
			t.Errorf("its password is %q, %v", hash, err)
		}
		wants(t, fault.ErrNoUser, s.DeleteUser(ctx, "u-cyd"))
		wants(t, fault.ErrNoUser, s.SetPassword(ctx, "u-cyd", "x", false, ""))
		wants(t, fault.ErrNoUser, s.SetMember(ctx, access.DefaultProject, "u-cyd", access.Viewer))
		wants(t, fault.ErrNoUser, s.CreateToken(ctx, "k2", access.Token{ID: "t2", User: "u-cyd"}))
		wants(t, fault.ErrNoUser, s.RememberDevice(ctx, "k2", "u-cyd", epoch))
		wants(t, fault.ErrSignedOut, s.CreateSession(ctx, "k2", access.Session{ID: "s2", User: "u-cyd"}, ""))
		_, _, err = s.ChangeUser(ctx, "u-cyd", func(*access.User) error { return nil })
		wants(t, fault.ErrNoUser, err)
		st := state(t, s)
		if n := len(st.Users); n != 3 || !st.Users[2].Deleted || st.Users[2].HasPassword || len(st.Members) != 0 {
			t.Errorf("left are %+v, members %+v", st.Users, st.Members)
		}
	})
}

// removals are the ways in which an administrator can be lost.
func removals(s *store.Store, t *testing.T) map[string]func(access.UserID) error {
	change := func(fn func(*access.User)) func(access.UserID) error {
		return func(id access.UserID) error {
			_, _, err := s.ChangeUser(t.Context(), id, func(u *access.User) error { fn(u); return nil })
			return err
		}
	}
	return map[string]func(access.UserID) error{
		"deleted":  func(id access.UserID) error { return s.DeleteUser(t.Context(), id) },
		"disabled": change(func(u *access.User) { u.Disabled = true }),
		"demoted":  change(func(u *access.User) { u.Administrator = false }),
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		team(t, s)
		robot := person("robot", true)
		robot.Kind = access.Service
		must(t, s.CreateUser(t.Context(), robot, "")) // cannot sign in
		must(t, removals(s, t)["disabled"]("u-bob"))
		for how, remove := range removals(s, t) {
			err := remove("u-ann")
			wants(t, fault.ErrConflict, err)
			if u, err := s.User(t.Context(), "u-ann"); err != nil || !u.Administrator || u.Disabled {
				t.Errorf("%s: %+v, %v", how, u, err)
			}
		}
		must(t, s.DeleteUser(t.Context(), "u-bob")) // disabled
		must(t, s.DeleteUser(t.Context(), "u-cyd"))
	})
}

func TestTwoAdministratorsCannotRemoveEachOther(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for i, how := range []string{"deleted", "disabled", "demoted"} {
			a, b := person(fmt.Sprintf("a%d", i), true), person(fmt.Sprintf("b%d", i), true)
			must(t, s.CreateUser(t.Context(), a, ""))
			must(t, s.CreateUser(t.Context(), b, ""))
			for _, u := range state(t, s).Users { // of the round before
				if u.Administrator && !u.Disabled && u.ID != a.ID && u.ID != b.ID {
					must(t, removals(s, t)["demoted"](u.ID))
				}
			}
			errs := make([]error, 2)
			var both sync.WaitGroup
			for n, id := range []access.UserID{a.ID, b.ID} {
				both.Go(func() { errs[n] = removals(s, t)[how](id) })
			}
			both.Wait()
			if (errs[0] == nil) == (errs[1] == nil) {
				t.Errorf("%s: %v, %v", how, errs[0], errs[1])
			}
			wants(t, fault.ErrConflict, errors.Join(errs...))
		}
	})
}

func TestTheFirstUserIsMadeOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		const n = 8
		errs := make([]error, n)
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				errs[i] = s.CreateFirstAdministrator(t.Context(), person(fmt.Sprintf("ann%d", i), true), "hash")
			})
		}
		all.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				wants(t, fault.ErrConflict, err)
			}
		}
		if users := state(t, s).Users; made != 1 || len(users) != 1 {
			t.Errorf("%d were made: %+v", made, users)
		}
		wants(t, fault.ErrConflict, s.CreateFirstAdministrator(t.Context(), person("late", true), "hash"))
	})
}

func TestAProjectThatIsDeletedLeavesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		must(t, s.CreateProject(ctx, access.Project{Name: "vision"}))
		must(t, s.SetMember(ctx, "vision", "u-cyd", access.Admin))
		must(t, s.CreateToken(ctx, "key", access.Token{ID: "t1", User: "u-cyd", Project: "vision"}))
		must(t, s.CreateToken(ctx, "other", access.Token{ID: "t2", User: "u-cyd"}))
		_, err := s.SaveTemplate(ctx, run.Template{Project: "vision", Name: "mine"}, 0)
		must(t, err)
		wants(t, fault.ErrInUse, s.DeleteProject(ctx, "vision"))
		must(t, s.DeleteTemplate(ctx, "vision", "mine"))
		secret := run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub", Projects: []string{"vision"}}
		must(t, s.RegisterSecret(ctx, secret))
		wants(t, fault.ErrInUse, s.DeleteProject(ctx, "vision")) // a later one of that name would have it
		secret.Projects = []string{"default"}
		must(t, s.ChangeSecret(ctx, secret))
		must(t, s.DeleteProject(ctx, "vision"))
		wants(t, fault.ErrNoProject, s.DeleteProject(ctx, "vision"))
		wants(t, fault.ErrConflict, s.DeleteProject(ctx, access.DefaultProject))
		wants(t, fault.ErrNoProject, s.CreateToken(ctx, "k3", access.Token{ID: "t3", User: "u-cyd", Project: "vision"}))
		if st := state(t, s); len(st.Members) != 0 || len(st.Projects) != 1 {
			t.Errorf("left: %+v", st)
		}
		tokens, err := s.Tokens(ctx, "u-cyd")
		must(t, err)
		if len(tokens) != 1 || tokens[0].ID != "t2" {
			t.Errorf("tokens %+v", tokens)
		}
	})
}

func TestSessionsAreListedSeenAndEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		var made []access.Session
		for i := range 3 {
			se := access.Session{ID: fmt.Sprintf("s%d", i), User: "u-cyd", CreatedAt: epoch.Add(time.Duration(i) * time.Hour), SeenAt: epoch, ExpiresAt: epoch.AddDate(0, 0, 30), Address: "192.0.2.7", Agent: "Browser é"}
			must(t, s.CreateSession(ctx, "key"+se.ID, se, "hash"))
			made = append([]access.Session{se}, made...)
		}
		must(t, s.CreateSession(ctx, "annkey", access.Session{ID: "a", User: "u-ann", SeenAt: epoch, ExpiresAt: epoch.AddDate(1, 0, 0)}, "hash"))
		wants(t, fault.ErrSignedOut, s.CreateSession(ctx, "k", access.Session{ID: "x", User: "u-cyd"}, "the hash before"))
		got, err := s.Sessions(ctx, "u-cyd")
		must(t, err)
		same(t, "sessions", got, made)
		one, err := s.SessionByKey(ctx, "keys0")
		must(t, err)
		same(t, "a session", one, made[2])

		later := epoch.Add(time.Minute)
		must(t, s.SaveSeen(ctx, []accounts.Seen{{Session: "s0", User: "u-cyd", At: later, From: "192.0.2.8"}, {Session: "gone", User: "u-gone", At: later}}))
		one, err = s.SessionByKey(ctx, "keys0")
		must(t, err)
		if !one.SeenAt.Equal(later) || one.Address != "192.0.2.8" {
			t.Errorf("seen %+v", one)
		}
		if u, err := s.User(ctx, "u-cyd"); err != nil || !u.SeenAt.Equal(later) {
			t.Errorf("user %+v, %v", u, err)
		}

		must(t, s.EndSession(ctx, "u-cyd", "s0"))
		wants(t, fault.ErrNoSession, s.EndSession(ctx, "u-cyd", "s0"))
		wants(t, fault.ErrNoSession, s.EndSession(ctx, "u-cyd", "a")) // another's
		must(t, s.EndSessions(ctx, "u-cyd", "s2"))
		_, err = s.SessionByKey(ctx, "keys1")
		wants(t, fault.ErrNoSession, err)
		must(t, s.SetPassword(ctx, "u-cyd", "new", false, "s2"))
		must(t, s.SetPassword(ctx, "u-ann", "new", false, ""))
		if _, err := s.SessionByKey(ctx, "keys2"); err != nil {
			t.Errorf("the session that was to stay: %v", err)
		}
		_, err = s.SessionByKey(ctx, "annkey")
		wants(t, fault.ErrNoSession, err)
		must(t, removals(s, t)["disabled"]("u-cyd"))
		_, err = s.SessionByKey(ctx, "keys2")
		wants(t, fault.ErrNoSession, err)
		wants(t, fault.ErrSignedOut, s.CreateSession(ctx, "k", access.Session{ID: "x", User: "u-cyd"}, "new"))
	})
}

func TestTheOldestSessionsAndDevicesGiveWay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		for i := range 52 {
			at := epoch.Add(time.Duration(i) * time.Hour)
			must(t, s.CreateSession(ctx, fmt.Sprint("k", i), access.Session{ID: fmt.Sprint("s", i), User: "u-cyd", CreatedAt: at, SeenAt: at, ExpiresAt: at.AddDate(0, 0, 30)}, "hash"))
			must(t, s.RememberDevice(ctx, fmt.Sprint("k", i), "u-cyd", at))
		}
		all, err := s.Sessions(ctx, "u-cyd")
		must(t, err)
		if len(all) != 50 || all[49].ID != "s2" {
			t.Errorf("%d sessions, the oldest is %s", len(all), all[len(all)-1].ID)
		}
		for i, want := range map[int]bool{1: false, 2: true, 51: true} {
			if known, err := s.KnowsDevice(ctx, fmt.Sprint("k", i), "u-cyd"); err != nil || known != want {
				t.Errorf("device %d: %v, %v", i, known, err)
			}
		}
		if known, err := s.KnowsDevice(ctx, "k51", "u-ann"); err != nil || known {
			t.Errorf("another's device: %v, %v", known, err)
		}
		must(t, s.DropExpired(ctx, epoch.Add(51*time.Hour), epoch.Add(40*time.Hour), epoch.Add(41*time.Hour)))
		all, err = s.Sessions(ctx, "u-cyd")
		must(t, err)
		if len(all) != 12 {
			t.Errorf("%d sessions are left of those seen in the last 12 hours", len(all))
		}
		must(t, s.DropExpired(ctx, epoch.AddDate(1, 0, 0), epoch, epoch))
		if all, err := s.Sessions(ctx, "u-cyd"); err != nil || len(all) != 0 {
			t.Errorf("expired sessions are left: %d, %v", len(all), err)
		}
		if known, err := s.KnowsDevice(ctx, "k40", "u-cyd"); err != nil || known {
			t.Errorf("a forgotten device: %v, %v", known, err)
		}
	})
}

func TestTokensAreListedUsedAndRevoked(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		team(t, s)
		tok := access.Token{ID: "t1", User: "u-cyd", Name: "ci", Scopes: []access.Scope{access.ScopeRead, access.Scope(access.RunsSubmit)}, Project: access.DefaultProject, CreatedAt: epoch, ExpiresAt: epoch.AddDate(0, 0, 7)}
		must(t, s.CreateToken(ctx, "key", tok))
		never := access.Token{ID: "t2", User: "u-cyd", Name: "ever", Scopes: []access.Scope{access.ScopeAll}, CreatedAt: epoch.Add(time.Hour)}
		must(t, s.CreateToken(ctx, "other", never))
		must(t, s.SaveSeen(ctx, []accounts.Seen{{Token: "t1", User: "u-cyd", At: epoch.Add(time.Minute), From: "192.0.2.7"}}))
		tok.UsedAt, tok.UsedFrom = epoch.Add(time.Minute), "192.0.2.7"
		got, err := s.Tokens(ctx, "u-cyd")
		must(t, err)
		same(t, "tokens", got, []access.Token{never, tok})
		one, err := s.TokenByKey(ctx, "key")
		must(t, err)
		same(t, "a token", one, tok)
		wants(t, fault.ErrNoToken, s.RevokeToken(ctx, "u-ann", "t1")) // another's
		must(t, s.RevokeToken(ctx, "u-cyd", "t1"))
		wants(t, fault.ErrNoToken, s.RevokeToken(ctx, "u-cyd", "t1"))
		_, err = s.TokenByKey(ctx, "key")
		wants(t, fault.ErrNoToken, err)
		for i := range accounts.MaxTokens - 1 {
			must(t, s.CreateToken(ctx, fmt.Sprint("k", i), access.Token{ID: access.TokenID(fmt.Sprint("m", i)), User: "u-cyd"}))
		}
		wants(t, fault.ErrConflict, s.CreateToken(ctx, "many", access.Token{ID: "many", User: "u-cyd"}))
	})
}

func TestAPasswordIsRenewedUnlessItHasChanged(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		team(t, s)
		for _, step := range []struct{ old, hash, want string }{{"hash", "stronger", "stronger"}, {"hash", "late", "stronger"}} {
			must(t, s.RenewPassword(t.Context(), "u-cyd", step.old, step.hash))
			if got, err := s.Password(t.Context(), "u-cyd"); err != nil || got != step.want {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}

func TestLogInsSurviveACopyIntoAnotherDatabase(t *testing.T) {
	t.Parallel()
	lite := store.Address{Folder: t.TempDir()}
	pg := store.Address{Folder: t.TempDir(), Database: db.Options{URL: pgtest.URL(t), MaxConns: 4}}
	s, err := store.OpenAt(t.Context(), lite.Folder, lite.Database)
	must(t, err)
	team(t, s)
	must(t, s.SetMember(t.Context(), access.DefaultProject, "u-cyd", access.Operator))
	session := access.Session{ID: "s1", User: "u-cyd", CreatedAt: epoch, SeenAt: epoch, ExpiresAt: epoch.AddDate(0, 0, 30), Agent: "Browser"}
	must(t, s.CreateSession(t.Context(), "key", session, "hash"))
	token := access.Token{ID: "t1", User: "u-cyd", Scopes: []access.Scope{access.ScopeRead}, CreatedAt: epoch}
	must(t, s.CreateToken(t.Context(), "key", token))
	must(t, s.RememberDevice(t.Context(), "key", "u-cyd", epoch))
	before := state(t, s)
	must(t, s.Close())

	_, err = store.Copy(t.Context(), lite, pg, func(transfer.Progress) {})
	must(t, err)
	s, err = store.OpenAt(t.Context(), pg.Folder, pg.Database)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	same(t, "the state", state(t, s), before)
	gotSession, err := s.SessionByKey(t.Context(), "key")
	must(t, err)
	same(t, "the session", gotSession, session)
	gotToken, err := s.TokenByKey(t.Context(), "key")
	must(t, err)
	same(t, "the token", gotToken, token)
	if known, err := s.KnowsDevice(t.Context(), "key", "u-cyd"); err != nil || !known {
		t.Errorf("the device: %v, %v", known, err)
	}
	if hash, err := s.Password(t.Context(), "u-cyd"); err != nil || hash != "hash" {
		t.Errorf("the password: %q, %v", hash, err)
	}
	if _, _, err := s.ChangeUser(t.Context(), "u-bob", func(u *access.User) error { u.Disabled = true; return nil }); err != nil {
		t.Error(err)
	}
	if n, err := s.AccessRevision(t.Context()); err != nil || n <= before.Revision {
		t.Errorf("revision %d after %d, %v", n, before.Revision, err)
	}
}

func TestSecondFactors(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		must(t, s.CreateUser(ctx, access.User{ID: "u-ann", Name: "ann", Kind: access.Person}, "hash"))
		must(t, s.CreateUser(ctx, access.User{ID: "u-bob", Name: "bob", Kind: access.Person}, "hash"))
		_, err := s.Factor(ctx, "u-ann")
		wants(t, fault.ErrNotFound, err)
		wants(t, fault.ErrConflict, s.RemoveFactor(ctx, "u-ann"))
		wants(t, fault.ErrSignedOut, s.UseFactor(ctx, "u-ann", 7))

		factor := accounts.Factor{Secret: "secret", CreatedAt: epoch}
		must(t, s.SetFactor(ctx, "u-ann", factor, 7, []string{"a", "b"}))
		wants(t, fault.ErrConflict, s.SetFactor(ctx, "u-ann", factor, 8, nil))
		wants(t, fault.ErrNoUser, s.SetFactor(ctx, "u-nobody", factor, 8, nil))
		got, err := s.Factor(ctx, "u-ann")
		must(t, err)
		same(t, "the factor", got, accounts.Factor{Secret: "secret", CreatedAt: epoch, Recovery: 2})
		if u, err := s.User(ctx, "u-ann"); err != nil || !u.SecondFactor {
			t.Errorf("%+v, %v", u, err)
		}
		for _, step := range []int64{6, 7} {
			wants(t, fault.ErrSignedOut, s.UseFactor(ctx, "u-ann", step))
		}
		must(t, s.UseFactor(ctx, "u-ann", 8))
		wants(t, fault.ErrSignedOut, s.UseFactor(ctx, "u-ann", 8))
		wants(t, fault.ErrSignedOut, s.UseRecovery(ctx, "u-bob", "a"))
		must(t, s.UseRecovery(ctx, "u-ann", "a"))
		wants(t, fault.ErrSignedOut, s.UseRecovery(ctx, "u-ann", "a"))

		must(t, s.RemoveFactor(ctx, "u-ann"))
		wants(t, fault.ErrSignedOut, s.UseRecovery(ctx, "u-ann", "b"))
		must(t, s.SetFactor(ctx, "u-bob", factor, 1, []string{"c"}))
		must(t, s.DeleteUser(ctx, "u-bob"))
		_, err = s.Factor(ctx, "u-bob")
		wants(t, fault.ErrNotFound, err)
		wants(t, fault.ErrSignedOut, s.UseRecovery(ctx, "u-bob", "c"))
	})
}
