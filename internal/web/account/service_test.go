package account_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

func TestServiceAccountsAreMarkedWhereverTheirNameIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.setUp()
	ctx := access.With(t.Context(), access.Local())
	_, _, err := s.auth.CreateUser(ctx, access.User{Name: "robot", Kind: access.Service})
	must(t, err)
	must(t, s.auth.SetMember(ctx, access.DefaultProject, "robot", access.Operator))
	of := func(owner string) run.Run {
		r := webtest.Run(run.Running)
		r.Owner = owner
		return r
	}
	s.Fake.AllRuns = []run.Run{of("robot"), of("ann")}
	s.Audit.Append(audit.Entry{Action: "runs.stop", Actor: audit.Actor{Name: "robot"}}, audit.Entry{Action: "runs.stop", Actor: audit.Actor{Name: "ann"}})
	for path, rows := range map[string]string{
		"/": "[data-cell=owner]", "/runs/" + string(s.Fake.AllRuns[0].ID): "[data-fact=owner]", "/projects/default": "[data-member]", "/admin/audit": "[data-entry]",
	} {
		page := s.Do(http.MethodGet, path, nil, "Cookie", ann)
		found := page.Doc.Find(rows)
		robots := 0
		for i := range found.Nodes {
			row := found.Eq(i)
			is := strings.Contains(row.Text(), "robot")
			if marked := row.Find("[data-service]").Length() == 1; marked != is {
				t.Errorf("%s: marked %t: %s", path, marked, strings.Join(strings.Fields(row.Text()), " "))
			}
			if is {
				robots++
			}
		}
		if page.Status != http.StatusOK || robots != 1 {
			t.Errorf("%s: %d, %d rows of the service account", path, page.Status, robots)
		}
	}
	if page := s.Do(http.MethodGet, "/admin/users", nil, "Cookie", ann); !strings.Contains(page.Text(t, "[data-user=robot]"), "service account") {
		t.Errorf("users: %d", page.Status)
	}
}
