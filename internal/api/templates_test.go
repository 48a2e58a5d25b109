package api_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

type templatePage struct {
	Items []run.Template
	Next  string
}

func TestTemplatesAreSavedInVersionsThatStay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	w := f.do("PUT", "/api/v1/templates/My-7B", `{"preset":"7B","description":"ours","note":"first","set":{"nodes":"2"}}`)
	one := decode[run.Template](f, w, 200)
	if one.Version != 1 || one.Name != "My-7B" || one.Description != "ours" || one.Note != "first" || one.Shape.Nodes != 2 || w.Header().Get("ETag") != `"1"` {
		t.Errorf("%+v %v", one, w.Header())
	}
	two := decode[run.Template](f, f.do("PUT", "/api/v1/templates/my-7b", `{"template":"my-7b","set":{"optim.total_steps":"100000"}}`), 200)
	if two.Version != 2 || two.Description != "ours" || two.Name != "My-7B" || two.Shape.Nodes != 2 || !strings.Contains(two.Config, "100000") {
		t.Errorf("%+v", two)
	}
	if again := decode[run.Template](f, f.do("PUT", "/api/v1/templates/my-7b", `{"template":"my-7b"}`), 200); again.Version != 2 {
		t.Errorf("the same content made version %d", again.Version)
	}
	if got := get[run.Template](f, "/api/v1/templates/my-7b?version=1"); got.Config != one.Config {
		t.Errorf("%+v", got)
	}
	if got := get[run.Template](f, "/api/v1/templates/MY-7B"); got.Version != 2 {
		t.Errorf("%+v", got)
	}
	versions := get[templatePage](f, "/api/v1/templates/my-7b/versions").Items
	if len(versions) != 2 || versions[0].Version != 2 {
		t.Errorf("%+v", versions)
	}
	f.problem(f.do("GET", "/api/v1/templates/my-7b?version=3", ""), 404)
	f.problem(f.do("GET", "/api/v1/templates/nope", ""), 404)
	f.problem(f.do("GET", "/api/v1/templates/nope/versions", ""), 404)
	f.problem(f.do("GET", "/api/v1/templates/nope/file", ""), 404)
	f.problem(f.do("DELETE", "/api/v1/templates/nope", ""), 404)
	if w := f.do("DELETE", "/api/v1/templates/my-7b", ""); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.problem(f.do("GET", "/api/v1/templates/my-7b", ""), 404)
}

func TestTwoPeopleDoNotSaveOverEachOtherUnknowingly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body := func(n int) string { return fmt.Sprintf(`{"preset":"debug","set":{"optim.total_steps":"%d"}}`, 100+n) }
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/x", body(1), "If-None-Match", "*"), 200)
	f.problem(f.do("PUT", "/api/v1/templates/x", body(2), "If-None-Match", "*"), 412)
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/x", body(2), "If-Match", `"1"`), 200)
	if p := f.problem(f.do("PUT", "/api/v1/templates/x", body(3), "If-Match", `"1"`), 412); !strings.Contains(p.Detail, "newest version of x is 2") {
		t.Errorf("%+v", p)
	}
	f.problem(f.do("PUT", "/api/v1/templates/y", body(3), "If-Match", `"1"`), 412)
	f.problem(f.do("PUT", "/api/v1/templates/y", body(3), "If-Match", `*`), 412)
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/x", body(3), "If-Match", `"1", "2"`), 200)
	decode[run.Template](f, f.do("PUT", "/api/v1/templates/x", body(4), "If-Match", `*`), 200)

	codes := make([]int, 8) // all of these follow version 4: one may
	var wg sync.WaitGroup
	for i := range codes {
		wg.Go(func() { codes[i] = f.do("PUT", "/api/v1/templates/x", body(10+i), "If-Match", `"4"`).Code })
	}
	wg.Wait()
	slices.Sort(codes)
	if codes[0] != 200 || codes[1] != 412 || codes[7] != 412 {
		t.Errorf("statuses %v", codes)
	}
	if got := get[run.Template](f, "/api/v1/templates/x"); got.Version != 5 {
		t.Errorf("version %d", got.Version)
	}
}

// TestASaveThatOthersOvertakeTakesTheirsIntoAccount saves past the API between its look at the newest version and its save,
// as the page does.
func TestASaveThatOthersOvertakeTakesTheirsIntoAccount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		headers []string
		status  int
		version int
	}{
		{"without a condition", nil, 200, 3},
		{"if there is any", []string{"If-Match", "*"}, 200, 3},
		{"if it is one of these", []string{"If-Match", `"1", "2"`}, 200, 3},
		{"if it is this", []string{"If-Match", `"1"`}, 412, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			decode[run.Template](f, f.do("PUT", "/api/v1/templates/x", `{"preset":"debug","description":"one"}`), 200)
			f.BeforeSave(func() {
				newest, err := f.Template(t.Context(), "", "x", 0)
				if err != nil {
					t.Error(err)
					return
				}
				newest.Description = "another's"
				if _, err := f.SaveTemplate(t.Context(), newest, run.AnyVersion); err != nil {
					t.Error(err)
				}
			})
			w := f.do("PUT", "/api/v1/templates/x", `{"preset":"debug","set":{"optim.total_steps":"100"}}`, tc.headers...)
			if w.Code != tc.status {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
			got := get[run.Template](f, "/api/v1/templates/x")
			if got.Version != tc.version || got.Description != "another's" {
				t.Errorf("the newest is version %d, %q", got.Version, got.Description)
			}
			if p := w.Body.String(); tc.status == 412 && !strings.Contains(p, "newest version of x is 2") {
				t.Errorf("told %s", p)
			}
		})
	}
}

func TestWhatIsWrongWithATemplateIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, want := range map[string][]string{
		`{"preset":"debug","set":{"optim.batch_size":"many","nodes":"0"}}`: {"nodes", "optim.batch_size", "template"},
		`{"text":"[train]\nmicro_bs = 0\n"}`:                               {"template", "train.micro_bs"},
		`{"preset":"debug"}`:                                               {"template"},
		`{"text":"[train]\n","set":{"nodes":"2"}}`:                         {"template", "text"},
	} {
		var fields []string
		for _, e := range f.problem(f.do("PUT", "/api/v1/templates/a%20b", body), 422).Errors {
			fields = append(fields, e.Field)
		}
		slices.Sort(fields)
		if !slices.Equal(fields, want) {
			t.Errorf("%s: %v", body, fields)
		}
	}
}

func TestTemplatesArePagedByName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"b", "A", "d", "C", "e"} {
		decode[run.Template](f, f.do("PUT", "/api/v1/templates/"+name, `{"preset":"debug"}`), 200)
	}
	var got []string
	next := ""
	for range 3 {
		page := get[templatePage](f, "/api/v1/templates?limit=2&after="+next)
		for _, item := range page.Items {
			got = append(got, item.Name)
		}
		next = page.Next
	}
	if !slices.Equal(got, []string{"A", "b", "C", "d", "e"}) || next != "" {
		t.Errorf("%v, next %q", got, next)
	}
	if page := get[templatePage](newFixture(t), "/api/v1/templates"); page.Items == nil {
		t.Error("an empty list is null")
	}
}

func TestAnExportedTemplateIsImportedAsItWas(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := decode[run.Template](f, f.do("PUT", "/api/v1/templates/mine", `{"preset":"7B-diloco","description":"ours","note":"why","options":{"tags":["a"],"priority":70,"env":{"A":"b"}},"shape":{"site":"dc1"}}`), 200)
	w := f.do("GET", "/api/v1/templates/mine/file", "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/toml" || w.Header().Get("Content-Disposition") != `attachment; filename="mine@1.toml"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	two := decode[run.Template](f, f.do("PUT", "/api/v1/templates/other", encode(t, map[string]string{"text": w.Body.String()})), 200)
	one.Name, one.CreatedAt = "other", two.CreatedAt
	if encode(t, one) != encode(t, two) {
		t.Errorf("%s\nand not\n%s", encode(t, two), encode(t, one))
	}
	plain := decode[run.Template](f, f.do("PUT", "/api/v1/templates/plain", `{"text":"[train]\nmicro_bs = 4\n","description":"d"}`), 200)
	if !strings.Contains(plain.Config, "micro_bs = 4") || plain.Description != "d" || plain.Shape.Nodes != 1 {
		t.Errorf("%+v", plain)
	}
}

func TestSavingATemplateWarnsOfWhatItsProjectWouldRefuse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.UseCheck(func(_ context.Context, s run.Submission) (errs, warns run.FieldErrors) {
		if s.Shape.Nodes > 2 && s.Project == "default" {
			errs = run.FieldErrors{{Field: "nodes", Rule: "is too much: default allows at most 2 nodes for a run"}}
		}
		return errs, nil
	})
	for nodes, warned := range map[string]int{"2": 0, "3": 1} {
		saved := decode[client.SavedTemplate](f, f.do("PUT", "/api/v1/templates/x", `{"preset":"debug","set":{"nodes":"`+nodes+`"}}`), 200)
		if n := strings.Count(fmt.Sprint(saved.Warnings), "is too much"); n != warned {
			t.Errorf("%s nodes: %v", nodes, saved.Warnings)
		}
	}
}
