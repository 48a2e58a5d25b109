package access_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/access"
)

var someProjects = []string{"a", "b", access.DefaultProject}

// anybody is any identity, without the limit of a token.
func anybody(t *rapid.T) access.Identity {
	return access.Identity{
		User: rapid.SampledFrom([]access.UserID{"u-1", "u-1", "u-1", ""}).Draw(t, "user"), Administrator: rapid.Bool().Draw(t, "administrator"),
		Roles: rapid.MapOf(rapid.SampledFrom(someProjects), rapid.SampledFrom(access.Roles())).Draw(t, "roles"),
	}
}

func anyLimit(t *rapid.T) *access.Limit {
	return &access.Limit{
		Project: rapid.SampledFrom(append([]string{""}, someProjects...)).Draw(t, "project"),
		Scopes:  rapid.SliceOfN(rapid.SampledFrom(access.Scopes()), 0, 3).Draw(t, "scopes"),
	}
}

func each(t *rapid.T, check func(right access.Right, project string)) {
	t.Helper()
	for _, rule := range access.Rights() {
		for _, p := range append([]string{"", "other"}, someProjects...) {
			check(rule.Right, p)
		}
	}
}

func TestATokenNeverMayMoreThanItsOwnerNorOutsideItsProject(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		owner := anybody(t)
		token := owner
		token.Limit = anyLimit(t)
		each(t, func(right access.Right, p string) {
			switch may := token.May(right, p); {
			case may && !owner.May(right, p):
				t.Fatalf("the token may %s in %q, its owner not", right, p)
			case may && token.Limit.Project != "" && right.Rule().Place == access.InProject && p != token.Limit.Project:
				t.Fatalf("a token of project %s may %s in %q", token.Limit.Project, right, p)
			case may && token.Limit.Project != "" && right.Rule().Place == access.Everywhere:
				t.Fatalf("a token of one project may %s", right)
			case may && token.Limit.Project != "" && (right == access.Account || right == access.Password || right == access.Factor):
				t.Fatalf("a token of one project manages its owner's account: %s", right)
			}
			if token.MayAnywhere(right) && !owner.MayAnywhere(right) {
				t.Fatalf("the token may %s somewhere, its owner nowhere", right)
			}
		})
	})
}

func TestTheProjectsOfARightAreThoseWhereItIsHad(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := anybody(t)
		if rapid.Bool().Draw(t, "by a token") {
			i.Limit = anyLimit(t)
		}
		each(t, func(right access.Right, p string) {
			if right.Rule().Place != access.InProject {
				return
			}
			all, projects := i.Projects(right)
			if may := i.May(right, p); may != (all || slices.Contains(projects, p)) {
				t.Fatalf("%s in %q: %t, of all %t and %v", right, p, may, all, projects)
			}
			if i.May(right, p) && !i.MayAnywhere(right) {
				t.Fatalf("%s in %q, and nowhere", right, p)
			}
			if !slices.IsSorted(projects) {
				t.Fatalf("%v", projects)
			}
		})
	})
}

func TestARoleIncludesTheLesserOnes(t *testing.T) {
	t.Parallel()
	roles := access.Roles()
	for n, role := range roles {
		for m, other := range roles {
			if role.Includes(other) != (n >= m) {
				t.Errorf("%s includes %s", role, other)
			}
		}
		if access.Role("").Includes(role) || access.Role("king").Includes(role) {
			t.Errorf("what is no role includes %s", role)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, len(roles)-1).Draw(t, "role")
		m := rapid.IntRange(0, n).Draw(t, "lesser")
		with := func(r access.Role) access.Identity {
			return access.Identity{User: "u", Roles: map[string]access.Role{"a": r}}
		}
		each(t, func(right access.Right, p string) {
			if with(roles[m]).May(right, p) && !with(roles[n]).May(right, p) {
				t.Fatalf("%s may %s, %s not", roles[m], right, roles[n])
			}
		})
	})
}

func TestNobodyMayWhatIsNotPublic(t *testing.T) {
	t.Parallel()
	nobody := access.Identity{Administrator: true, Roles: map[string]access.Role{"a": access.Admin}}
	for _, rule := range access.Rights() {
		if nobody.MayAnywhere(rule.Right) != (rule.Right == access.Public) {
			t.Errorf("nobody: %s", rule.Right)
		}
		if !(access.Local().MayAnywhere(rule.Right)) {
			t.Errorf("with --dev nobody may %s", rule.Right)
		}
	}
	made := access.Right("made.up")
	if (access.Identity{User: "u", Roles: map[string]access.Role{"a": access.Admin}}).MayAnywhere(made) {
		t.Error("a right that is not in the table is had")
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	admin := access.Identity{User: "u", Administrator: true}
	for _, c := range []struct {
		scope access.Scope
		may   []access.Right
		not   []access.Right
	}{
		{access.ScopeRead, []access.Right{access.SignedIn, access.RunsRead, access.StorageRead, access.ClusterRead}, []access.Right{access.Account, access.RunsSubmit, access.StorageDelete, access.AuditRead, access.UsersManage}},
		{access.ScopeWrite, []access.Right{access.RunsRead, access.RunsSubmit, access.RunsDelete, access.TemplatesSave}, []access.Right{access.Account, access.StorageDelete, access.MembersManage, access.ProjectsManage}},
		{access.ScopeAll, []access.Right{access.Account, access.MembersManage, access.UsersManage, access.StorageLayout}, nil},
		{access.Scope(access.RunsStop), []access.Right{access.SignedIn, access.RunsStop, access.RunsRead}, []access.Right{access.Account, access.RunsSubmit, access.RunsDelete, access.TemplatesRead}},
		{access.Scope(access.MembersManage), []access.Right{access.ProjectRead}, []access.Right{access.RunsRead, access.ProjectEdit}},
		{access.Scope(access.UsersManage), []access.Right{access.UsersManage}, []access.Right{access.RunsRead, access.ProjectsManage}},
	} {
		admin.Limit = &access.Limit{Scopes: []access.Scope{c.scope}}
		for _, right := range c.may {
			if !admin.MayAnywhere(right) {
				t.Errorf("%s is not enough for %s", c.scope, right)
			}
		}
		for _, right := range c.not {
			if admin.MayAnywhere(right) {
				t.Errorf("%s is enough for %s", c.scope, right)
			}
		}
		if got, err := access.ParseScope(string(c.scope)); err != nil || got != c.scope {
			t.Errorf("%s: %v", c.scope, err)
		}
	}
	for _, none := range []string{"", "everything", "account", "public", "READ"} {
		if got, err := access.ParseScope(none); err == nil {
			t.Errorf("%q is the scope %s", none, got)
		}
	}
}

func TestSubjectsOfPaths(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"GET /runs/{id}": "run:id", "POST /api/v1/runs/{id}/stop": "run:id", "GET /sweeps/{id}/rows": "sweep:id", "GET /templates/{name}/export": "template:name",
		"POST /projects/{project}/members/{user}/remove": "project:project",
		"GET /runs": "", "POST /runs/launch/job.json": "", "GET /admin/users/{name}": "", "GET /admin/projects/{name}": "", "GET /runs/{idx}": "", "POST /account/tokens/{id}/revoke": "",
	} {
		if got := access.SubjectOf(pattern)(func(name string) string { return name }).String(); got != want {
			t.Errorf("%s is about %q, want %q", pattern, got, want)
		}
	}
}
