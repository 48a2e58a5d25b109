package admin_test

import (
	"log/slog"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

var boss = access.Identity{User: "u-boss", Name: "boss", Administrator: true}

// accounts is a store with an administrator and a log-in on it.
func accounts(t *testing.T) *auth.Service {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.CreateUser(t.Context(), access.User{ID: boss.User, Name: boss.Name, Kind: access.Person, Administrator: true}, "x"); err != nil {
		t.Fatal(err)
	}
	service, err := auth.New(t.Context(), auth.Options{Accounts: s.Accounts, Audit: s.Audit, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return webtest.Now }})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func site(t *testing.T, service *auth.Service, who access.Identity) *webtest.Site {
	t.Helper()
	return webtest.New(t, func(d *web.Deps) { d.Auth, d.Admin, d.Projects = webtest.As(who), service, service.ProjectNames })
}

// post sends a form and expects a status.
func post(t *testing.T, s *webtest.Site, path string, status int, fields ...string) webtest.Answer {
	t.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	a := s.Do("POST", path, form)
	if a.Status != status {
		t.Fatalf("POST %s %v: %d, want %d: %s", path, fields, a.Status, status, a.Doc.Find("main").Text())
	}
	return a
}

func TestAnAdministratorManagesAUserFromItsFirstPasswordToItsEnd(t *testing.T) {
	t.Parallel()
	s := site(t, accounts(t), boss)
	made := post(t, s, "/admin/users", 200, "name", "ann", "kind", "person", "display_name", "Ann <b>A</b>", "email", "ann@example.org")
	password := made.Text(t, "#secret")
	if len(password) < 20 || made.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("password %q, %s", password, made.Header.Get("Cache-Control"))
	}
	list := s.Get("/admin/users?q=EXAMPLE", 200)
	if list.Count("tr[data-user]") != 1 || list.Text(t, "tr[data-user=ann] .row-sub") != "Ann <b>A</b>" || strings.Contains(list.Body, password) {
		t.Errorf("%d users match", list.Count("tr[data-user]"))
	}
	if s.Get("/admin/users?q=nobody", 200).Count("[data-empty]") != 1 {
		t.Error("an empty list says nothing")
	}
	post(t, s, "/admin/users/ann", 303, "display_name", "Ann", "administrator", "true")
	if got := s.Get("/admin/users/ann?done=saved", 200); got.Text(t, "[data-notice]") != "Saved." || got.Count("#f-administrator[checked]") != 1 {
		t.Error("the profile is not saved")
	}
	for action, want := range map[string]string{"disable": "cannot sign in", "sessions": "All sessions", "password": "old password", "delete": "Runs of ann go on and stay"} {
		if got := s.Get("/admin/users/ann/"+action, 200).Text(t, "main section"); !strings.Contains(got, want) {
			t.Errorf("before %s it says %q", action, got)
		}
	}
	if got := s.Get("/admin/users/ann", 200); got.Doc.Find("[data-audit=subject]").AttrOr("href", "") != "/admin/audit?subject=user%3Aann" || got.Doc.Find("[data-audit=actor]").AttrOr("href", "") != "/admin/audit?actor=ann" || got.Count("[data-action=create-token]") != 0 {
		t.Error("the page does not lead to the audit log, or makes tokens of a person")
	}
	s.Get("/admin/users/ann/explode", 404)
	post(t, s, "/admin/users/ann/explode", 404)
	if got := post(t, s, "/admin/users/ann/password", 200).Text(t, "#secret"); got == password || len(got) < 20 {
		t.Errorf("new password %q", got)
	}
	post(t, s, "/admin/users/ann/sessions", 303)
	post(t, s, "/admin/users/ann/disable", 303)
	if got := s.Get("/admin/users/ann", 200); got.Text(t, ".page-head > .badge") != "disabled" || got.Count("[data-action=ask-enable]") != 1 {
		t.Error("it is not disabled")
	}
	post(t, s, "/admin/users/ann/enable", 303)
	if got := post(t, s, "/admin/users/ann/delete", 303).Header.Get("Location"); got != "/admin/users?done=deleted" {
		t.Errorf("to %q", got)
	}
	s.Get("/admin/users/ann", 404)
	for name, c := range map[string]struct{ fields, where string }{
		"a deleted name":  {"name=ann", "[data-problem]"},
		"no login name":   {"name=Ann+A", "#f-name-message.field-error"},
		"no email":        {"name=bob&email=x", "#f-email-message.field-error"},
		"a hostile title": {"name=bob&display_name=%1b%5b31m", "#f-display_name-message.field-error"},
	} {
		form, err := url.ParseQuery(c.fields + "&kind=person")
		if err != nil {
			t.Fatal(err)
		}
		if a := s.Do("POST", "/admin/users", form); a.Status != 422 || a.Count(c.where) != 1 {
			t.Errorf("%s: %d, %s", name, a.Status, a.Doc.Find("main form").Text())
		}
	}
	if a := post(t, s, "/admin/users/boss/delete", 422); a.Text(t, "[data-problem] div") == "" {
		t.Error("nothing says why the last administrator stays")
	}
}

func TestAServiceAccountHasTokensAndNoPassword(t *testing.T) {
	t.Parallel()
	s := site(t, accounts(t), boss)
	if got := post(t, s, "/admin/users", 303, "name", "ci", "kind", "service", "administrator", "true").Header.Get("Location"); got != "/admin/users/ci?done=created" {
		t.Errorf("to %q", got)
	}
	post(t, s, "/admin/users/ci/projects", 303, "in_project", "default", "role", "operator")
	page := s.Get("/admin/users/ci", 200)
	if page.Count("[data-action=ask-password], [data-action=ask-sessions], #f-administrator") != 0 || page.Text(t, "[data-membership=default] .muted") != "operator" {
		t.Error("a service account signs in, or is in no project")
	}
	s.Get("/admin/users/ci/password", 404)
	post(t, s, "/admin/users/ci/password", 409)
	if a := post(t, s, "/admin/users/ci/tokens", 422, "name", "", "scopes", "write", "expires_at", "90"); a.Count("#f-name-message.field-error") != 1 {
		t.Error("a token without a name")
	}
	post(t, s, "/admin/users/ci/tokens", 400, "name", "x", "scopes", "write", "expires_at", "soon")
	made := post(t, s, "/admin/users/ci/tokens", 200, "name", "nightly", "scopes", "write", "project", "default", "expires_at", "90")
	secret := made.Text(t, "#secret")
	if !strings.HasPrefix(secret, "ctk_") {
		t.Errorf("secret %q", secret)
	}
	id := s.Get("/admin/users/ci", 200).Doc.Find("[data-token]").AttrOr("data-token", "")
	path := "/admin/users/ci/tokens/" + id + "/revoke"
	if got := s.Get(path, 200).Text(t, "main h1"); got != "Revoke token nightly?" {
		t.Errorf("it asks %q", got)
	}
	post(t, s, path, 303)
	if s.Get("/admin/users/ci", 200).Count("[data-token]") != 0 {
		t.Error("the token is there")
	}
	s.Get(path, 404)
	post(t, s, path, 404)
	post(t, s, "/admin/users/boss/tokens", 422, "name", "x", "scopes", "all", "expires_at", "0")
}

func TestAProjectIsManagedByItsAdminsAndSeenByItsMembersOnly(t *testing.T) {
	t.Parallel()
	service := accounts(t)
	s := site(t, service, boss)
	if got := post(t, s, "/admin/projects", 303, "name", "llm", "description", "Big ones").Header.Get("Location"); got != "/projects/llm?done=created" {
		t.Errorf("to %q", got)
	}
	if a := post(t, s, "/admin/projects", 422, "name", "llm"); a.Count("[data-problem]") != 1 {
		t.Error("a name twice")
	}
	if a := post(t, s, "/admin/projects", 422, "name", "-x-"); a.Count("#f-name-message.field-error") != 1 {
		t.Error("a bad name")
	}
	post(t, s, "/admin/users", 200, "name", "ann", "kind", "person")
	post(t, s, "/admin/users", 200, "name", "bob", "kind", "person")
	post(t, s, "/projects/llm/members", 303, "user", "ann", "role", "admin")
	if got := s.Get("/admin/projects", 200).Text(t, "tr[data-project=llm] .num"); got != "1" {
		t.Errorf("%s members", got)
	}

	ann := site(t, service, access.Identity{User: "u-ann", Name: "ann", Roles: map[string]access.Role{"llm": access.Admin}})
	post(t, ann, "/projects/llm/members", 303, "user", "bob", "role", "viewer")
	post(t, ann, "/projects/llm/members", 303, "user", "bob", "role", "operator")
	if a := post(t, ann, "/projects/llm/members", 422, "user", "nobody", "role", "viewer"); a.Count("[data-problem]") != 1 || a.Doc.Find("#f-user").AttrOr("value", "") != "nobody" {
		t.Error("a member who does not exist")
	}
	if a := post(t, ann, "/projects/llm/members", 422, "user", "bob", "role", "king"); a.Count("#f-role-message.field-error") != 1 {
		t.Error("a role that does not exist")
	}
	post(t, ann, "/projects/llm", 303, "description", "Large ones")
	page := ann.Get("/projects/llm", 200)
	if page.Doc.Find("#f-description").AttrOr("value", "") != "Large ones" || page.Text(t, "[data-member=bob] option[selected]") != "operator" || page.Count("[data-action=ask-delete], #f-user-list") != 0 ||
		page.Doc.Find("main [data-audit]").AttrOr("href", "") != "/admin/audit?project=llm" {
		t.Error("ann's page is not right")
	}
	if got := ann.Get("/admin", 200); got.Count("[data-admin=users], [data-admin=projects]") != 0 || got.Count(`[data-admin=project] [href="/projects/llm"]`) != 1 {
		t.Error("the overview of a project's admin is not right")
	}
	for _, path := range []string{"/admin/users", "/admin/users/bob", "/admin/users/bob/delete"} {
		ann.Get(path, 403)
	}
	post(t, ann, "/admin/users", 403, "name", "eve", "kind", "person")
	post(t, ann, "/admin/projects", 403, "name", "mine")
	post(t, ann, "/projects/llm/delete", 403)
	ann.Get("/projects/default", 404)
	post(t, ann, "/projects/default/members", 404, "user", "ann", "role", "admin")

	if page.Count("#f-namespace") != 0 || page.Count("[data-setting]") != 0 {
		t.Error("a project's admin is offered its settings")
	}
	full := []string{"description", "Large ones", "namespace", "", "node_pool", "gpu", "folder", "teams/llm", "workers", "8", "gpus", "", "priority", "60", "max_duration_seconds", "1d", "retention_seconds", "90d", "max_bytes", "1.5TB"}
	post(t, ann, "/projects/llm", 403, full...)
	post(t, s, "/projects/llm", 303, full...)
	if page := s.Get("/projects/llm", 200); page.Doc.Find("#f-node_pool").AttrOr("value", "") != "gpu" || page.Doc.Find("#f-max_duration_seconds").AttrOr("value", "") != "1d" || page.Doc.Find("#f-gpus").AttrOr("value", "") != "" {
		t.Error("the settings are not shown to be changed")
	}
	if page := ann.Get("/projects/llm", 200); page.Text(t, "[data-setting=workers] dd") != "8" || page.Count("[data-setting]") != 7 || page.Text(t, "[data-setting=retention_seconds] dd") != "90d" || page.Text(t, "[data-setting=max_bytes] dd") != "1.5 TB" {
		t.Error("a project's admin does not see its settings")
	}
	for i, bad := range map[int]string{7: "/etc", 9: "many", 13: "200", 15: "soon", 17: "5s", 19: "much"} {
		wrong := slices.Clone(full)
		wrong[i] = bad
		if a := post(t, s, "/projects/llm", 422, wrong...); a.Count("#f-"+wrong[i-1]+"-message.field-error") != 1 || a.Doc.Find("#f-"+wrong[i-1]).AttrOr("value", "") != bad {
			t.Errorf("%s = %q", wrong[i-1], bad)
		}
	}

	bob := site(t, service, access.Identity{User: "u-bob", Name: "bob", Roles: map[string]access.Role{"llm": access.Operator}})
	if page := bob.Get("/projects/llm", 200); page.Count("main form, main select, main .button") != 0 || page.Text(t, "[data-member=ann] .muted") != "admin" || bob.Get("/", 200).Count(`#account [href="/admin"]`) != 0 {
		t.Error("bob's page is not right")
	}
	post(t, bob, "/projects/llm/members", 403, "user", "bob", "role", "admin")
	post(t, bob, "/projects/llm", 403, "description", "mine")

	if got := ann.Get("/projects/llm/members/bob/remove", 200).Text(t, "main h1"); got != "Remove bob from llm?" {
		t.Errorf("it asks %q", got)
	}
	post(t, ann, "/projects/llm/members/bob/remove", 303)
	post(t, ann, "/projects/llm/members/bob/remove", 404)
	if got := s.Get("/projects/llm/delete", 200).Text(t, "main h1"); got != "Delete project llm?" {
		t.Errorf("it asks %q", got)
	}
	post(t, s, "/projects/llm/delete", 303)
	s.Get("/projects/llm", 404)
	post(t, s, "/projects/default/delete", 422)
	if got := s.Get("/admin/projects/default", 303).Header.Get("Location"); got != "/projects/default" {
		t.Errorf("to %q", got)
	}
}

func TestWithoutAccountsThereIsNoAdministration(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	s.Get("/admin", 404)
	if s.Get("/", 200).Count(`#account [href="/admin"]`) != 0 {
		t.Error("something leads there")
	}
}

func TestWhatAPersonIsSignedInWithIsShownAndRevoked(t *testing.T) {
	t.Parallel()
	service := accounts(t)
	s := site(t, service, boss)
	post(t, s, "/admin/users", 200, "name", "ann", "kind", "person")
	once := post(t, s, "/admin/users/ann/password", 200).Text(t, "#secret")
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/login", nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
	if err := service.LogIn(w, r, "ann", once); err != nil {
		t.Fatal(err)
	}
	u, err := service.User(access.With(t.Context(), boss), "ann")
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := service.CreateToken(access.With(t.Context(), access.Identity{User: u.ID, Name: u.Name}), access.Token{Name: "laptop", Scopes: []access.Scope{access.ScopeRead}})
	if err != nil {
		t.Fatal(err)
	}
	page := s.Get("/admin/users/ann", 200)
	if got := page.Text(t, "[data-session] strong"); got != "Firefox on Linux" || page.Count("[data-token]") != 1 {
		t.Errorf("session %q, %d tokens", got, page.Count("[data-token]"))
	}
	if got := post(t, s, "/admin/users/ann/password", 200).Text(t, "main"); !strings.Contains(got, "1 API token of ann can still be used") {
		t.Errorf("after a reset it says %q", got)
	}
	post(t, s, "/admin/users/ann/tokens/"+string(token.ID)+"/revoke", 303)
	if page := s.Get("/admin/users/ann", 200); page.Count("[data-session], [data-token]") != 0 {
		t.Error("a session or token stays")
	}
}

func TestAdministratorsSeeWhatLogsTake(t *testing.T) {
	t.Parallel()
	s := site(t, accounts(t), boss)
	s.Fake.LogUsages = []run.LogUsage{{Project: "default", Bytes: 12_300_000, MaxBytes: 50_000_000}, {Project: "small", Bytes: 1}, {Bytes: 12_300_001, Retention: 90 * 86_400}}
	page := s.Get("/admin", 200)
	if got := page.Text(t, "[data-admin=logs] .muted"); got != "12.3 MB, kept for 90 days after a run's end" {
		t.Errorf("in all %q", got)
	}
	if got := page.Text(t, "[data-log-usage=default] dd"); got != "12.3 MB of 50 MB" || page.Count("[data-log-usage]") != 2 {
		t.Errorf("of a project %q", got)
	}
	if got := s.Get("/projects/default", 200).Text(t, "[data-log-usage]"); got != "Logs: 12.3 MB of 50 MB; those of all projects together: kept for 90 days after a run's end" {
		t.Errorf("on its page %q", got)
	}
}
