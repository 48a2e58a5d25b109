package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestATokenIsItsOwnerWithinItsLimit(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.as(c.mustLogIn("bob")...)
	made, secret := c.token(bob, access.Token{Name: " ci ", Scopes: []access.Scope{access.ScopeRead}, Project: "default", ExpiresAt: c.clock().Add(time.Hour)})
	if made.Name != "ci" || made.User != "u-bob" || !strings.HasPrefix(secret, "ctk_"+string(made.ID)+"_") {
		t.Errorf("made %+v, %s", made, secret)
	}
	ctx, err := c.bearer("Bearer " + secret)
	must(t, err)
	who := access.From(ctx)
	if who.Name != "bob" || who.Token != made.ID || who.Session != "" || !who.May(access.RunsRead, "default") || who.May(access.RunsSubmit, "default") || who.May(access.Account, "") {
		t.Errorf("identity %+v", who)
	}
	if user, token, err := c.Account(ctx); err != nil || user.Name != "bob" || token == nil || token.ID != made.ID {
		t.Errorf("account %+v, %+v, %v", user, token, err)
	}
	must(t, auth.SaveSeen(c.Service, t.Context()))
	listed, err := c.Tokens(bob)
	must(t, err)
	if len(listed) != 1 || !listed[0].UsedAt.Equal(c.clock()) || listed[0].UsedFrom != "192.0.2.9" {
		t.Errorf("listed %+v", listed)
	}
	if text := c.log.String(); strings.Contains(text, secret) {
		t.Error("the log has the secret")
	}

	c.pass(time.Hour)
	_, err = c.Still(ctx)
	wants(t, fault.ErrSignedOut, err)
	_, err = c.bearer("Bearer " + secret)
	if !errors.Is(err, auth.ErrToken) {
		t.Errorf("an expired token: %v", err)
	}
}

func TestTokensThatDoNotCountAreRefused(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.as(c.mustLogIn("bob")...)
	revoked, gone := c.token(bob, access.Token{Scopes: []access.Scope{access.ScopeAll}})
	ctx, err := c.bearer("Bearer " + gone)
	must(t, err)
	must(t, c.RevokeToken(bob, revoked.ID))
	_, err = c.Still(ctx)
	wants(t, fault.ErrSignedOut, err)
	_, valid := c.token(bob, access.Token{Scopes: []access.Scope{access.ScopeAll}})
	for name, values := range map[string][]string{
		"empty":              {"Bearer "},
		"nothing":            {"Bearer"},
		"revoked":            {"Bearer " + gone},
		"unknown":            {"Bearer ctk_aaaaaaaaaaaa_" + strings.Repeat("A", 43)},
		"malformed":          {"Bearer ctk_" + strings.Repeat("é", 30)},
		"without its id":     {"Bearer " + valid[17:]},
		"its id":             {"Bearer " + valid[:16]},
		"longer":             {"Bearer " + valid + "A"},
		"with a space":       {"Bearer  " + valid},
		"with a line":        {"Bearer " + valid + "\n"},
		"64 KiB":             {"Bearer " + strings.Repeat("A", 64<<10)},
		"given twice":        {"Bearer " + valid, "Bearer " + valid},
		"beside another way": {"Basic YTpi", "Bearer " + valid},
		"a list":             {"Bearer " + valid + ", Bearer " + valid},
	} {
		ctx, err := c.bearer(values...)
		if who := access.From(ctx); !errors.Is(err, auth.ErrToken) || who.Known() {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	if ctx, err := c.bearer("bearer " + valid); err != nil || access.From(ctx).Name != "bob" {
		t.Errorf("the scheme in lower case: %v", err)
	}
	if ctx, err := c.bearer("Basic YTpi"); err != nil || access.From(ctx).Known() {
		t.Errorf("a proxy's own: %+v, %v", access.From(ctx), err)
	}
	_, _, err = c.store.ChangeUser(t.Context(), "u-bob", func(u *access.User) error { u.Disabled = true; return nil })
	must(t, err)
	must(t, auth.Follow(c.Service, t.Context()))
	_, err = c.bearer("Bearer " + valid)
	wants(t, fault.ErrSignedOut, err)
}

func TestATokenWinsOverACookie(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	_, secret := c.token(c.as(c.mustLogIn("bob")...), access.Token{Scopes: []access.Scope{access.ScopeRead}})
	r := c.request("192.0.2.1", c.mustLogIn("ann")...)
	r.Header.Set("Authorization", "Bearer "+secret)
	if ctx, err := c.Identify(r); err != nil || access.From(ctx).Name != "bob" {
		t.Errorf("%+v, %v", access.From(ctx), err)
	}
	r.Header.Set("Authorization", "Bearer x")
	if ctx, err := c.Identify(r); err == nil || access.From(ctx).Known() {
		t.Errorf("a cookie stands in for a wrong token: %+v, %v", access.From(ctx), err)
	}
}

func TestATokenMakesNoneThatMayDoMore(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	must(t, c.store.CreateProject(t.Context(), access.Project{Name: "vision"}))
	must(t, auth.Follow(c.Service, t.Context()))
	ann := c.as(c.mustLogIn("ann")...)
	all, read := []access.Scope{access.ScopeAll}, []access.Scope{access.ScopeRead}
	day := c.clock().AddDate(0, 0, 1)
	for name, tt := range map[string]struct {
		own, made access.Token
		ok        bool
	}{
		"all makes any":                 {access.Token{Scopes: all}, access.Token{Scopes: read}, true},
		"read makes none":               {access.Token{Scopes: read}, access.Token{Scopes: read}, false},
		"many rights make none":         {access.Token{Scopes: []access.Scope{access.ScopeRead, access.ScopeWrite, "users.manage"}}, access.Token{Scopes: read}, false},
		"of a project for it":           {access.Token{Scopes: all, Project: "vision"}, access.Token{Scopes: all, Project: "vision"}, true},
		"of a project for all":          {access.Token{Scopes: all, Project: "vision"}, access.Token{Scopes: read}, false},
		"of a project for another":      {access.Token{Scopes: all, Project: "vision"}, access.Token{Scopes: read, Project: "default"}, false},
		"that expires, one before":      {access.Token{Scopes: all, ExpiresAt: day}, access.Token{Scopes: all, ExpiresAt: day}, true},
		"that expires, one after":       {access.Token{Scopes: all, ExpiresAt: day}, access.Token{Scopes: all, ExpiresAt: day.Add(time.Second)}, false},
		"that expires, one for ever":    {access.Token{Scopes: all, ExpiresAt: day}, access.Token{Scopes: all}, false},
		"for ever, one for ever":        {access.Token{Scopes: all}, access.Token{Scopes: all}, true},
		"of no project, one of vision":  {access.Token{Scopes: all}, access.Token{Scopes: all, Project: "vision"}, true},
		"all beside others makes those": {access.Token{Scopes: []access.Scope{access.ScopeAll, access.ScopeRead}}, access.Token{Scopes: all}, true},
	} {
		_, secret := c.token(ann, tt.own)
		ctx, err := c.bearer("Bearer " + secret)
		must(t, err)
		tt.made.Name = "made"
		_, _, err = c.CreateToken(ctx, tt.made)
		if tt.ok != (err == nil) || !tt.ok && fault.Of(err).Kind != fault.ErrForbidden && !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMistakesInATokenAreTold(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.as(c.mustLogIn("bob")...)
	good := access.Token{Name: "ci", Scopes: []access.Scope{access.ScopeRead}}
	for field, spoil := range map[string]func(*access.Token){
		"name":       func(t *access.Token) { t.Name = " " },
		"name ":      func(t *access.Token) { t.Name = strings.Repeat("é", 81) },
		"name  ":     func(t *access.Token) { t.Name = "a\x1b[2Jb" },
		"name   ":    func(t *access.Token) { t.Name = "a\u202eb" },
		"scopes":     func(t *access.Token) { t.Scopes = nil },
		"scopes ":    func(t *access.Token) { t.Scopes = []access.Scope{"everything"} },
		"scopes  ":   func(t *access.Token) { t.Scopes = []access.Scope{access.Scope(access.Account)} },
		"project":    func(t *access.Token) { t.Project = "none" },
		"expires_at": func(t *access.Token) { t.ExpiresAt = c.clock() },
	} {
		token := good
		spoil(&token)
		_, _, err := c.CreateToken(bob, token)
		var errs run.FieldErrors
		if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != strings.TrimSpace(field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestANewPasswordEndsOtherSessions(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	mine, other, anns := c.mustLogIn("bob"), c.mustLogIn("bob"), c.mustLogIn("ann")
	const fresh = "a different set of words"
	var errs run.FieldErrors
	for _, tt := range []struct{ current, password, field string }{
		{"not my password", fresh, "current"}, {"", fresh, "current"}, {good, "short", "password"},
	} {
		if err := c.ChangePassword(c.as(mine...), tt.current, tt.password); !errors.As(err, &errs) || errs[0].Field != tt.field {
			t.Errorf("%q to %q: %v", tt.current, tt.password, err)
		}
	}
	must(t, c.ChangePassword(c.as(mine...), good, fresh))
	if !access.From(c.as(mine...)).Known() || access.From(c.as(other...)).Known() || !access.From(c.as(anns...)).Known() {
		t.Error("the wrong sessions ended")
	}
	_, err := c.logIn("bob", good, "192.0.2.1")
	wants(t, fault.ErrSignedOut, err)
	if _, err := c.logIn("bob", fresh, "192.0.2.1"); err != nil {
		t.Error(err)
	}
	wants(t, fault.ErrSignedOut, c.ChangePassword(t.Context(), good, fresh)) // nobody's
}

func TestTheCurrentPasswordIsNotGuessed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.quick()
	bob := c.as(c.mustLogIn("bob")...)
	for range auth.PerDevice {
		wants(t, fault.ErrInvalid, c.ChangePassword(bob, "wrong password 1", good))
	}
	wants(t, fault.ErrRateLimited, c.ChangePassword(bob, "wrong password 1", good))
	if _, err := c.logIn("bob", good, "192.0.2.1"); err != nil {
		t.Errorf("it keeps the user out: %v", err)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	mine := c.mustLogIn("bob")
	c.pass(time.Minute)
	second := c.mustLogIn("bob")
	third := c.mustLogIn("bob")
	anns := access.From(c.as(c.mustLogIn("ann")...)).Session
	ctx := c.as(mine...)
	all, err := c.Sessions(ctx)
	must(t, err)
	if len(all) != 3 || !all[2].Current || all[0].Current || all[2].Address != "192.0.2.1" || all[2].Agent != "Browser" {
		t.Errorf("sessions %+v", all)
	}
	wants(t, fault.ErrNoSession, c.EndSession(ctx, anns))
	must(t, c.EndSession(ctx, access.From(c.as(second...)).Session))
	if access.From(c.as(second...)).Known() || !access.From(c.as(third...)).Known() {
		t.Error("the wrong session ended")
	}
	must(t, c.EndOtherSessions(ctx))
	if !access.From(c.as(mine...)).Known() || access.From(c.as(third...)).Known() {
		t.Error("the wrong sessions ended")
	}
}

func TestWhatIsDoneToAccountsIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	mine := c.mustLogIn("bob")
	second := access.From(c.as(c.mustLogIn("bob")...)).Session
	ctx := c.as(mine...)
	for _, name := range []string{"bob", "my password, by mistake"} {
		_, err := c.logIn(name, "wrong password 1", "192.0.2.1")
		wants(t, fault.ErrSignedOut, err)
	}
	token, secret := c.token(ctx, access.Token{Scopes: []access.Scope{access.ScopeRead}, Project: "default"})
	must(t, c.RevokeToken(ctx, token.ID))
	must(t, c.EndSession(ctx, second))
	must(t, c.ChangePassword(ctx, good, "a different set of words"))
	must(t, c.EndOtherSessions(ctx))
	w, r := httptest.NewRecorder(), c.request("192.0.2.1", mine...)
	_, err := c.LogOut(w, r.WithContext(c.as(mine...)))
	must(t, err)

	var got []string
	must(t, c.store.Audit.Export(t.Context(), audit.Filter{AllProjects: true}, func(row audit.Row, _ audit.Hash) error {
		e := row.Entry
		kind, _, _ := strings.Cut(e.Subject, ":")
		got = append(got, strings.Join([]string{e.Actor.Name, e.Action, kind, e.Project, string(e.Outcome)}, " "))
		text, err := json.Marshal(e)
		if e.Request == "" || e.Actor.Address != "192.0.2.1" || e.Actor.User == "" && e.Outcome != audit.Refused {
			t.Errorf("%s tells no request, address or user", text)
		}
		for _, private := range []string{secret, good, "a different set", "wrong password", "by mistake", mine[0].Value, mine[1].Value} {
			if strings.Contains(string(text), private) {
				t.Errorf("%s has a secret", text)
			}
		}
		return err
	}))
	want := []string{
		"ann setup user  done", "ann login session  done", "bob login session  done", "bob login session  done", "bob login user  refused", " login   refused",
		"bob tokens.create token default done", "bob tokens.revoke token default done",
		"bob sessions.end session  done", "bob password.change user  done", "bob sessions.end user  done", "bob logout session  done",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the log differs (-want +got):\n%s", d)
	}
}

func TestAdministratorsManageUsersAndProjects(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ctx := c.as(c.mustLogIn("ann")...)
	cyd, password, err := c.CreateUser(ctx, access.User{Name: "cyd", Kind: access.Person})
	must(t, err)
	_, none, err := c.CreateUser(ctx, access.User{Name: "robot", Kind: access.Service, Administrator: true})
	must(t, err)
	if none != "" || c.user("robot").Administrator {
		t.Error("a service account has a password, or is an administrator")
	}
	_, _, err = c.CreateUser(ctx, access.User{Name: "cyd", Kind: access.Person})
	wants(t, fault.ErrConflict, err)
	_, _, err = c.CreateUser(ctx, access.User{Name: "сyd", Kind: access.Person}) // with a Cyrillic s
	wants(t, fault.ErrInvalid, err)
	_, _, err = c.CreateUser(ctx, access.User{Name: "dan", DisplayName: "\x1b[31m"})
	wants(t, fault.ErrInvalid, err)
	_, err = c.CreateProject(ctx, access.Project{Name: "Vision"})
	wants(t, fault.ErrInvalid, err)
	_, err = c.CreateProject(ctx, access.Project{Name: "vision"})
	must(t, err)
	must(t, c.SetMember(ctx, "vision", "cyd", access.Admin))
	wants(t, fault.ErrInvalid, c.SetMember(ctx, "vision", "cyd", "king"))
	wants(t, fault.ErrNoUser, c.SetMember(ctx, "vision", "nobody", access.Viewer))
	cookies, err := c.logIn("cyd", password, "192.0.2.1")
	must(t, err)
	must(t, c.ChangePassword(c.as(cookies...), password, good))
	own := c.as(cookies...)
	members, err := c.Members(own, "vision")
	must(t, err)
	projects, err := c.Projects(own)
	must(t, err)
	if len(members) != 1 || members[0].User != cyd.ID || len(projects) != 1 {
		t.Errorf("members %+v, projects %+v", members, projects)
	}
	c.refused(own)
	must(t, c.SetMember(own, "vision", "robot", access.Operator))
	_, err = c.ChangeProject(own, "vision", func(p *access.Project) { p.Description = "images" })
	must(t, err)

	_, _, err = c.ResetPassword(ctx, "robot", false)
	wants(t, fault.ErrConflict, err)
	fresh, _, err := c.ResetPassword(ctx, "cyd", false)
	must(t, err)
	if fresh == password || access.From(c.as(cookies...)).Known() {
		t.Error("the password is the same, or the session outlives it")
	}
	token, secret, err := c.CreateUserToken(ctx, "robot", access.Token{Name: "nightly", Scopes: []access.Scope{access.ScopeWrite}, Project: "vision"})
	must(t, err)
	robot, err := c.bearer("Bearer " + secret)
	must(t, err)
	if who := access.From(robot); who.Name != "robot" || !who.May(access.RunsSubmit, "vision") {
		t.Errorf("the token is of %+v", who)
	}
	must(t, c.RevokeUserToken(ctx, "robot", token.ID))
	_, _, err = c.CreateUserToken(ctx, "cyd", access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
	wants(t, fault.ErrConflict, err)
	must(t, c.DeleteProject(ctx, "vision"))
	wants(t, fault.ErrConflict, c.DeleteUser(ctx, "ann"))
	if u, err := c.ChangeUser(ctx, "cyd", func(u *access.User) { u.Administrator = true }); err != nil || !u.Administrator {
		t.Errorf("%+v, %v", u, err)
	}
	must(t, c.DeleteUser(ctx, "bob"))
	users, err := c.Users(ctx)
	must(t, err)
	if len(users) != 3 || users[0].Name != "ann" {
		t.Errorf("users %+v", users)
	}
}

// refused tries what only administrators may do, as the admin of the project vision.
func (c *console) refused(own context.Context) {
	c.t.Helper()
	_, _, created := c.CreateUser(own, access.User{Name: "eve"})
	_, _, reset := c.ResetPassword(own, "ann", false)
	_, changed := c.ChangeUser(own, "cyd", func(u *access.User) { u.Administrator = true })
	_, listed := c.Users(own)
	_, one := c.User(own, "ann")
	_, roles := c.Memberships(own, "ann")
	_, tokens := c.UserTokens(own, "ann")
	_, _, token := c.CreateUserToken(own, "robot", access.Token{})
	_, project := c.CreateProject(own, access.Project{Name: "mine"})
	_, settings := c.ChangeProject(own, "vision", func(p *access.Project) { p.Settings.NodePool = "all" })
	for _, err := range []error{
		created, reset, changed, listed, one, roles, tokens, token, project, settings, c.DeleteUser(own, "bob"), c.EndUserSessions(own, "ann"), c.RevokeUserToken(own, "robot", "x"), c.DeleteProject(own, "vision"),
	} {
		wants(c.t, fault.ErrForbidden, err)
	}
	wants(c.t, fault.ErrNoProject, c.SetMember(own, access.DefaultProject, "cyd", access.Admin))
	_, others := c.ChangeProject(own, access.DefaultProject, func(p *access.Project) { p.Description = "mine" })
	wants(c.t, fault.ErrNoProject, others)
	_, members := c.Members(own, access.DefaultProject)
	wants(c.t, fault.ErrNoProject, members)
	wants(c.t, fault.ErrSignedOut, c.DeleteUser(c.t.Context(), "bob"))
}

func TestSettingsOfProjectsAreCheckedAndSeenByTheirRuns(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var asked []access.Settings
	c.Service = c.again(auth.Options{Placement: func(_ context.Context, before, after access.Settings) error {
		asked = append(asked, before, after)
		if after.NodePool == "none" {
			return run.FieldErrors{{Field: "node_pool", Value: "none", Rule: "is not there"}}
		}
		return nil
	}})
	ctx := c.as(c.mustLogIn("ann")...)
	for _, name := range []string{"vision", "audio"} {
		_, err := c.CreateProject(ctx, access.Project{Name: name})
		must(t, err)
	}
	want := access.Settings{Namespace: "team-a", NodePool: "gpu_1", Folder: "teams/vision", Limits: access.Limits{Workers: 4, GPUs: 16, Priority: 60, MaxDuration: 3600}}
	set := func(project string, s access.Settings) error {
		_, err := c.ChangeProject(ctx, project, func(p *access.Project) { p.Settings = s })
		return err
	}
	must(t, set("vision", want))
	if got := c.Settings("vision"); got != want || c.Settings("audio") != (access.Settings{}) || c.Settings("none") != (access.Settings{}) {
		t.Errorf("set is %+v", got)
	}
	if len(asked) != 2 || asked[0] != (access.Settings{}) || asked[1] != want {
		t.Errorf("the cluster was asked about %+v", asked)
	}
	for name, tc := range map[string]struct {
		field  string
		change func(*access.Settings)
	}{
		"a namespace with a dot":             {"namespace", func(s *access.Settings) { s.Namespace = "a.b" }},
		"all namespaces":                     {"namespace", func(s *access.Settings) { s.Namespace = "*" }},
		"a node pool with a space":           {"node_pool", func(s *access.Settings) { s.NodePool = "a b" }},
		"a node pool that Nomad lacks":       {"node_pool", func(s *access.Settings) { s.NodePool = "none" }},
		"an absolute folder":                 {"folder", func(s *access.Settings) { s.Folder = "/teams" }},
		"a folder that leads out":            {"folder", func(s *access.Settings) { s.Folder = "a/../../b" }},
		"a folder with a trailing slash":     {"folder", func(s *access.Settings) { s.Folder = "teams/" }},
		"a hidden folder":                    {"folder", func(s *access.Settings) { s.Folder = ".teams" }},
		"another project's folder":           {"folder", func(s *access.Settings) { s.Folder = "teams/vision" }},
		"a folder in another project's":      {"folder", func(s *access.Settings) { s.Folder = "teams/vision/x" }},
		"a folder around another project's":  {"folder", func(s *access.Settings) { s.Folder = "teams" }},
		"less than no workers":               {"workers", func(s *access.Settings) { s.Limits.Workers = -1 }},
		"more GPUs than any number of nodes": {"gpus", func(s *access.Settings) { s.Limits.GPUs = 1 << 40 }},
		"a priority that Nomad lacks":        {"priority", func(s *access.Settings) { s.Limits.Priority = 101 }},
		"logs that are kept for an hour":     {"retention_seconds", func(s *access.Settings) { s.Logs.Retention = 3600 }},
		"logs that outlive everybody":        {"retention_seconds", func(s *access.Settings) { s.Logs.Retention = 1 << 40 }},
		"less than no logs":                  {"max_bytes", func(s *access.Settings) { s.Logs.MaxBytes = -1 }},
		"a negative time":                    {"max_duration_seconds", func(s *access.Settings) { s.Limits.MaxDuration = -1 }},
	} {
		s := access.Settings{}
		tc.change(&s)
		var errs run.FieldErrors
		if err := set("audio", s); !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != tc.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.Settings("audio") != (access.Settings{}) {
		t.Error("something of it was kept")
	}
	for _, a := range asked[2:] {
		if a.Folder != "" {
			t.Errorf("the folder %s was to be made", a.Folder)
		}
	}
	must(t, set("audio", access.Settings{Folder: "teams/visions"}))
	asked = nil
	text := access.Settings{Folder: "teams/text", Limits: access.Limits{Workers: 2}}
	for name, s := range map[string]access.Settings{"vision": text, "inner": {Folder: "teams/vision/x"}, "negative": {Limits: access.Limits{Workers: -1}}} {
		if _, err := c.CreateProject(ctx, access.Project{Name: name, Settings: s}); err == nil || len(asked) != 0 {
			t.Errorf("creating %s: %v, after asking for %+v", name, err, asked)
		}
	}
	if _, err := c.CreateProject(ctx, access.Project{Name: "text", Settings: text}); err != nil || len(asked) != 2 || asked[1] != text || c.Settings("text") != text {
		t.Errorf("%v; asked about %+v", err, asked)
	}
	asked = nil
	_, err := c.ChangeProject(ctx, "vision", func(p *access.Project) { p.Description = "images" })
	must(t, err)
	if len(asked) != 0 || c.Settings("vision") != want {
		t.Error("another change asked the cluster, or changed the settings")
	}
}

func TestTheAuditLogSaysWhatWasDoneToAUser(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ann := c.as(c.mustLogIn("ann")...)
	disable := func(disabled bool) {
		t.Helper()
		_, err := c.ChangeUser(ann, "bob", func(u *access.User) { u.Disabled = disabled })
		must(t, err)
	}
	c.mustLogIn("bob")
	must(t, c.EndUserSessions(ann, "bob"))
	c.mustLogIn("bob")
	_, _, err := c.ResetPassword(ann, "bob", true)
	must(t, err)
	disable(true)
	disable(true)
	_, err = c.logIn("bob", good, "192.0.2.1")
	wants(t, fault.ErrSignedOut, err)
	disable(false)
	for range 2 {
		_, err = c.ChangeUser(ann, "bob", func(u *access.User) { u.DisplayName = "Bob" })
		must(t, err)
		must(t, c.SetMember(ann, access.DefaultProject, "bob", access.Viewer))
		_, err = c.ChangeProject(ann, access.DefaultProject, func(p *access.Project) { p.Settings.NodePool = "gpu" })
		must(t, err)
		_, err = c.ChangeProject(ann, access.DefaultProject, func(p *access.Project) { p.Description = "x" })
		must(t, err)
	}
	rows, err := c.store.Audit.After(t.Context(), 0, 100)
	must(t, err)
	var got []string
	for _, e := range rows {
		if e.Action == "login" && e.Outcome == audit.Done || e.Action == "setup" {
			continue
		}
		line := fmt.Sprintf("%s %s of %s", e.Outcome, e.Action, e.Subject)
		for _, x := range e.Changes() {
			line += fmt.Sprintf(" %s: %s > %s", x.Field, x.Before, x.After)
		}
		got = append(got, line+e.Reason)
	}
	want := []string{
		"done sessions.end of user:bob sessions_ended:  > 1",
		"done password.reset of user:bob api:  > 0 tokens revoked one_time_password: false > true sessions_ended:  > 1",
		"done user.disable of user:bob disabled: false > true",
		"refused login of user:bobbob is disabled.",
		"done user.enable of user:bob disabled: true > false",
		"done user.change of user:bob display_name:  > Bob",
		"done members.manage of user:bob role: operator > viewer",
		"done project.settings of project:default settings.node_pool:  > gpu",
		"done project.edit of project:default description:  > x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the audit log has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLastSeenIsNotOlderThanTheLastRequest(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	_, secret := c.token(c.as(bob...), access.Token{Scopes: []access.Scope{access.ScopeRead}})
	ann := c.as(c.mustLogIn("ann")...)
	signedIn := c.clock()
	seen := func(want time.Time) {
		t.Helper()
		u, err := c.User(ann, "bob")
		must(t, err)
		all, err := c.Users(ann)
		must(t, err)
		sessions, err := c.UserSessions(ann, "bob")
		must(t, err)
		if !u.SeenAt.Equal(want) || !all[1].SeenAt.Equal(want) || len(sessions) != 1 || !sessions[0].SeenAt.Equal(want) {
			t.Errorf("seen at %v, in the list at %v, sessions %+v, want %v", u.SeenAt, all[1].SeenAt, sessions, want)
		}
	}
	seen(signedIn)
	c.pass(2 * time.Minute)
	_ = c.as(bob...)
	_, err := c.bearer("Bearer " + secret)
	must(t, err)
	seen(c.clock()) // nothing is stored yet
	if tokens, err := c.UserTokens(ann, "bob"); err != nil || !tokens[0].UsedAt.Equal(c.clock()) {
		t.Errorf("tokens %+v, %v", tokens, err)
	}
	_, err = c.UserSessions(c.as(bob...), "ann")
	wants(t, fault.ErrForbidden, err)
}

func TestNoTextTurnsTheDirectionOfOthers(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ann := c.as(c.mustLogIn("ann")...)
	for _, r := range "\u202a\u202e\u2066\u2069\u2028\u2029\x1b\n" {
		text := "a" + string(r) + "b@example.org"
		_, _, name := c.CreateUser(ann, access.User{Name: "cat", Kind: access.Person, DisplayName: text})
		_, _, email := c.CreateUser(ann, access.User{Name: "cat", Kind: access.Person, Email: text})
		_, project := c.CreateProject(ann, access.Project{Name: "audio", Description: text})
		for field, err := range map[string]error{"display_name": name, "email": email, "description": project} {
			var errs run.FieldErrors
			if !errors.As(err, &errs) || len(errs) != 1 || errs[0].Field != field {
				t.Errorf("%s with %U: %v", field, r, err)
			}
		}
	}
	if _, _, err := c.CreateUser(ann, access.User{Name: "cat", Kind: access.Person, DisplayName: "نیم\u200cفاصله 👩\u200d🚀"}); err != nil {
		t.Error(err)
	}
}
