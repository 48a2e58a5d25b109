package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

func TestAScrapeTellsOfTheProjectsOfWhoScrapes(t *testing.T) {
	t.Parallel()
	roles := map[string]access.Role{"a": access.Viewer, "b": access.Operator}
	scrape := []access.Scope{access.Scope(access.MetricsRead)}
	for name, c := range map[string]struct {
		who  access.Identity
		want run.Projects
	}{
		"an administrator":               {access.Identity{User: "u", Administrator: true}, run.AllProjects()},
		"a member":                       {access.Identity{User: "u", Roles: roles, Limit: &access.Limit{Scopes: scrape}}, run.InProjects("a", "b")},
		"a token for one project":        {access.Identity{User: "u", Roles: roles, Limit: &access.Limit{Scopes: scrape, Project: "b"}}, run.InProjects("b")},
		"an administrator's for one":     {access.Identity{User: "u", Administrator: true, Limit: &access.Limit{Scopes: scrape, Project: "b"}}, run.InProjects("b")},
		"a token for something else":     {access.Identity{User: "u", Roles: roles, Limit: &access.Limit{Scopes: []access.Scope{access.Scope(access.RunsRead)}}}, run.Projects{}},
		"nobody":                         {access.Identity{}, run.Projects{}},
		"who is a member of no project":  {access.Identity{User: "u"}, run.Projects{}},
		"everybody on a console for one": {access.Local(), run.AllProjects()},
	} {
		if diff := cmp.Diff(c.want, scraped(access.With(t.Context(), c.who))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
