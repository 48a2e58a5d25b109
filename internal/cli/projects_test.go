package cli

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// team is a real console with log-in and two projects, and a command line that talks to it with one of the tokens.
type team struct {
	*console
	tokens map[string]string
}

// newTeam has ann be an operator of both projects, with a token for everything and one for vision alone, bob of speech alone, and
// cyd nothing.
func newTeam(t *testing.T) *team {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	must(t, err)
	service, err := auth.New(t.Context(), auth.Options{Accounts: s.Accounts, Audit: s.Audit, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	must(t, err)
	root := access.With(t.Context(), access.Local())
	_, _, err = service.CreateUser(root, access.User{Name: "root", Kind: access.Person, Administrator: true})
	must(t, err)
	out := &team{newConsole(t), map[string]string{}}
	roles := map[string][]string{"speech": {"ann", "bob"}, "vision": {"ann"}}
	for _, name := range []string{"ann", "bob", "cyd"} {
		_, _, err := service.CreateUser(root, access.User{Name: name, Kind: access.Service})
		must(t, err)
		_, out.tokens[name], err = service.CreateUserToken(root, name, access.Token{Name: name, Scopes: []access.Scope{access.ScopeWrite}})
		must(t, err)
	}
	for project, users := range roles {
		_, err := service.CreateProject(root, access.Project{Name: project})
		must(t, err)
		for _, name := range users {
			must(t, service.SetMember(root, project, name, access.Operator))
		}
	}
	_, out.tokens["ann in vision"], err = service.CreateUserToken(root, "ann", access.Token{Name: "limited", Scopes: []access.Scope{access.ScopeWrite}, Project: "vision"})
	must(t, err)
	must(t, s.Close())
	out.env = map[string]string{"NOMAD_ADDR": "http://127.0.0.1:1"}
	out.url = ""
	srv := out.start("server", "--listen", "127.0.0.1:0", "--data-dir", dir)
	t.Cleanup(func() {
		if code := srv.stop(); code != exitDone {
			t.Errorf("exit code %d: %s", code, srv.errs.String())
		}
	})
	out.url = "http://" + srv.addr
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as runs a command with a token, and in a project if there is one.
func (c *team) as(token, project string, args ...string) result {
	c.t.Helper()
	c.env = map[string]string{"COTRAIN_TOKEN": c.tokens[token], "COTRAIN_PROJECT": project}
	return c.cotrain(args...)
}

// items is a list of any kind.
type items[T any] struct{ Items []T }

// names are those of what a list holds, in its order.
func names[T any](t *testing.T, r result, of func(T) string) string {
	t.Helper()
	var out []string
	for _, item := range fromJSON[items[T]](t, r.want(t, exitDone)).Items {
		out = append(out, of(item))
	}
	return strings.Join(out, " ")
}

func templateIn(t run.Template) string { return t.Project + "/" + t.Name }
func runIn(r run.Run) string           { return r.Project + "/" + r.Name }
func sweepIn(s run.Sweep) string       { return s.Project + "/" + s.Name }

func TestTwoProjectsHaveTheSameNames(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	save := []string{"template", "save", "base", "--preset", "debug-diloco", "--gpus", "0", "--set"}
	c.as("ann", "", append(save, "optim.total_steps=7")...).want(t, exitRefused, "project", "name one of speech, vision")
	c.as("ann", "vision", append(save, "optim.total_steps=11")...).want(t, exitDone, "base@1")
	c.as("ann", "vision", append(save, "optim.total_steps=12", "--project", "speech")...).want(t, exitDone, "base@1") // the flag wins
	if all := names(t, c.as("ann", "", "template", "list", "--format", "json"), templateIn); all != "speech/base vision/base" {
		t.Errorf("all templates: %s", all)
	}
	c.as("ann", "", "template", "list").want(t, exitDone, "speech/base", "vision/base")
	for project, steps := range map[string]string{"vision": "11", "speech": "12"} {
		if own := names(t, c.as("ann", project, "template", "list", "--format", "json"), templateIn); own != project+"/base" {
			t.Errorf("templates of %s: %s", project, own)
		}
		c.as("ann", project, "template", "show", "base").want(t, exitDone, project, "total_steps = "+steps)
		c.as("ann", project, "run", "submit", "--template", "base", "--name", "one").want(t, exitDone)
		c.as("ann", project, "sweep", "submit", "--template", "base", "--name", "grid", "--grid", "optim.optim.lr=1e-4,3e-4").want(t, exitDone)
		list := fromJSON[items[run.Run]](t, c.as("ann", project, "run", "list", "--text", "one", "--format", "json"))
		if len(list.Items) != 1 || list.Items[0].Project != project || !strings.Contains(list.Items[0].Config, "total_steps = "+steps+"\n") {
			t.Errorf("runs of %s: %+v", project, list.Items)
		}
	}
	c.as("ann", "", "diff", "template:vision/base", "template:speech/base").want(t, exitDone, "optim.total_steps", "11", "12")
	if all := names(t, c.as("ann", "", "sweep", "list", "--format", "json"), sweepIn); strings.Count(all, "vision/grid") != 1 || strings.Count(all, "speech/grid") != 1 {
		t.Errorf("all sweeps: %s", all)
	}
	c.as("ann", "vision", "template", "delete", "base", "--yes").want(t, exitDone)
	c.as("ann", "vision", "template", "show", "base").want(t, exitNotFound)
	c.as("ann", "speech", "template", "show", "base").want(t, exitDone, "total_steps = 12")
}

func TestATokenForOneProjectIsInThatProject(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	submit := []string{"run", "submit", "--preset", "debug-diloco", "--gpus", "0", "--name"}
	for _, project := range []string{"speech", "vision"} {
		c.as("ann", project, append(submit, "by-ann")...).want(t, exitDone)
	}
	theirs := fromJSON[items[run.Run]](t, c.as("ann", "speech", "run", "list", "--format", "json")).Items[0].ID

	c.as("ann in vision", "", append(submit, "implied")...).want(t, exitDone)
	if all := names(t, c.as("ann in vision", "", "run", "list", "--format", "json"), runIn); all != "vision/implied vision/by-ann" {
		t.Errorf("what it sees: %s", all)
	}
	c.as("bob", "", append(submit, "by-bob")...).want(t, exitDone) // the only project of its user
	if all := names(t, c.as("bob", "", "run", "list", "--format", "json"), runIn); all != "speech/by-bob speech/by-ann" {
		t.Errorf("what bob sees: %s", all)
	}
	if all := names(t, c.as("ann in vision", "speech", "run", "list", "--format", "json"), runIn); all != "" {
		t.Errorf("of another project it sees %s", all)
	}
	if all := names(t, c.as("ann in vision", "", "project", "list", "--format", "json"), func(p access.Project) string { return p.Name }); all != "vision" {
		t.Errorf("projects that it sees: %s", all)
	}
	c.as("ann in vision", "speech", append(submit, "no")...).want(t, exitNotFound, "project")
	for _, args := range [][]string{{"run", "show", string(theirs)}, {"run", "stop", string(theirs)}, {"run", "clone", string(theirs)}, {"run", "logs", string(theirs)}} {
		c.as("ann in vision", "", args...).want(t, exitNotFound, string(theirs))
	}
	c.as("ann", "nowhere", append(submit, "no")...).want(t, exitNotFound, "project")
	c.as("cyd", "", append(submit, "no")...).want(t, exitRefused, "operator")
	c.as("cyd", "", "run", "list").want(t, exitRefused, "viewer")
}

// TestTheAPIOfTwoProjects asks without the command line what it does for people.
func TestTheAPIOfTwoProjects(t *testing.T) {
	t.Parallel()
	c := newTeam(t)
	ask := func(token, method, path, body string) (status int, answer map[string]any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, c.url+"/api/v1"+path, strings.NewReader(body))
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+c.tokens[token])
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		must(t, err)
		if len(text) > 0 {
			must(t, json.Unmarshal(text, &answer))
		}
		return res.StatusCode, answer
	}
	const source = `"preset":"debug-diloco","shape":{"nodes":1}`
	for _, project := range []string{"speech", "vision"} {
		if status, saved := ask("ann", "PUT", "/templates/base?project="+project, `{`+source+`,"description":"of `+project+`"}`); status != 200 {
			t.Fatalf("%d: %v", status, saved)
		}
	}
	for _, q := range []struct {
		token, method, path, body string
		status                    int
		says                      string
	}{
		{"ann", "POST", "/runs", `{"name":"x","template":"base"}`, 422, "speech, vision"},
		{"ann", "POST", "/sweeps", `{"name":"x","template":"base","grid":[{"field":"optim.optim.lr","values":["1e-4"]}]}`, 422, "speech, vision"},
		{"ann", "PUT", "/templates/other", `{` + source + `}`, 422, "speech, vision"},
		{"ann", "POST", "/runs", `{"project":"vision","name":"x","template":"base"}`, 201, `"project":"vision"`},
		{"ann in vision", "POST", "/runs", `{"name":"x","template":"base"}`, 201, `"project":"vision"`},
		{"ann in vision", "POST", "/runs", `{"project":"speech","name":"x","template":"base"}`, 404, ""},
		{"bob", "POST", "/runs", `{"name":"x",` + source + `}`, 201, `"project":"speech"`},
		{"bob", "POST", "/runs", `{"project":"vision","name":"x",` + source + `}`, 404, ""},
		{"ann", "GET", "/templates/base?project=vision", "", 200, "of vision"},
		{"ann", "GET", "/templates/base?project=speech", "", 200, "of speech"},
		{"ann in vision", "GET", "/templates/base?project=speech", "", 404, ""},
		{"bob", "GET", "/templates/base?project=vision", "", 404, ""},
		{"bob", "DELETE", "/templates/base?project=vision", "", 404, ""},
		{"ann", "GET", "/runs?project=x%20y", "", 422, "x y"},
	} {
		status, answer := ask(q.token, q.method, q.path, q.body)
		text, err := json.Marshal(answer)
		must(t, err)
		if status != q.status || !strings.Contains(string(text), q.says) {
			t.Errorf("%s: %s %s %s: %d %s", q.token, q.method, q.path, q.body, status, text)
		}
	}
	for path, want := range map[string]map[string][]string{
		"/runs":                               {"ann": {"speech", "vision", "vision"}, "ann in vision": {"vision", "vision"}, "bob": {"speech"}, "cyd": nil},
		"/templates":                          {"ann": {"speech", "vision"}, "ann in vision": {"vision"}, "bob": {"speech"}, "cyd": nil},
		"/runs?project=vision":                {"ann": {"vision", "vision"}, "bob": nil},
		"/runs?project=vision&project=speech": {"ann": {"speech", "vision", "vision"}, "bob": {"speech"}},
	} {
		for token, projects := range want {
			_, answer := ask(token, "GET", path, "")
			list, _ := answer["items"].([]any)
			var got []string
			for _, item := range list {
				got = append(got, item.(map[string]any)["project"].(string))
			}
			if slices.Sort(got); !slices.Equal(got, projects) {
				t.Errorf("%s: %s has what is of %v, want %v", token, path, got, projects)
			}
		}
	}
}
