package storage_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// member is a log-in of one person.
func member(roles map[string]access.Role) func(*web.Deps) {
	return func(d *web.Deps) { d.Auth = webtest.As(access.Identity{User: "u1", Name: "ann", Roles: roles}) }
}

var teams = map[string]string{"vision": "teams/vision", "audio": "teams/audio", "text": "", "tables": ""}

func TestWhoHasSeveralStoragesChoosesOne(t *testing.T) {
	t.Parallel()
	s := newShelves(t, teams, member(map[string]access.Role{"vision": access.Admin, "audio": access.Viewer, "text": access.Viewer, "tables": access.Viewer}))
	for folder, name := range map[string]string{"teams/vision": "of-vision", "teams/audio": "of-audio", ".": "of-nobody"} {
		s.write(folder+"/datasets/raw/"+name+"/part", "x")
	}
	a := s.Get("/storage", 200)
	of := map[string]string{}
	a.Doc.Find("[data-storage-of]").Each(func(_ int, el *goquery.Selection) {
		of[el.AttrOr("data-storage-of", "")] = el.Find("a").AttrOr("href", "")
	})
	if len(of) != 3 || of["tables text"] == "" || a.Count("tr[data-storage-name]") != 0 || !strings.Contains(a.Text(t, "main"), filepath.Join(s.dir, "teams/audio")) {
		t.Fatalf("%v: %s", of, a.Text(t, "main"))
	}
	for project, want := range map[string]string{"vision": "of-vision", "audio": "of-audio", "tables text": "of-nobody"} {
		root := s.Get(of[project], 200)
		if got := root.Text(t, "[data-storage-project]"); !strings.Contains("of "+project, strings.Fields(got)[1]) {
			t.Errorf("%s: %q", project, got)
		}
		raw := s.Get(row(s.Get(row(root, "datasets").Find("a.row-link").AttrOr("href", ""), 200), "raw").Find("a.row-link").AttrOr("href", ""), 200)
		if raw.Count("tr[data-storage-name]") != 1 || row(raw, want).Length() != 1 {
			t.Errorf("%s: %s", project, raw.Text(t, "main"))
		}
		if deletes := raw.Count("[data-action=ask-delete]"); (deletes == 1) != (project == "vision") {
			t.Errorf("%s: %d may be deleted", project, deletes)
		}
		raw.Doc.Find("main a[href*='/storage']").Each(func(_ int, el *goquery.Selection) {
			if u, err := url.Parse(el.AttrOr("href", "")); err != nil || !u.Query().Has("project") {
				t.Errorf("%s: a link leads out of the project: %s", project, u)
			}
		})
	}
	if got := s.Do("GET", "/storage?path=datasets/raw", nil, "Cookie", "project=audio"); got.Status != 200 || row(got, "of-audio").Length() != 1 {
		t.Errorf("the selected project: %d", got.Status)
	}
	for path, status := range map[string]int{
		"/storage/file?path=datasets/raw/of-vision/part&project=audio": 404, "/storage?path=teams/vision&project=text": 404, "/storage?project=else": 404,
		"/storage/file?path=datasets/raw/of-vision/part": 422, "/storage/delete?path=datasets/raw/of-vision&project=vision": 200,
	} {
		if got := s.Do("GET", path, nil); got.Status != status {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
	for query, want := range map[string]string{"": `{"items":[]}`, "&project=vision": `{"items":["datasets/raw/of-vision/"]}`, "&project=text": `{"items":["datasets/raw/of-nobody/"]}`} {
		if got := s.Get("/storage/complete?prefix=datasets/raw/of"+query, 200).Body; got != want {
			t.Errorf("%q: %s", query, got)
		}
	}
}

func TestADeletionStaysInTheStorageOfItsProject(t *testing.T) {
	t.Parallel()
	s := newShelves(t, teams, member(map[string]access.Role{"vision": access.Admin, "audio": access.Admin}))
	const place = "models/checkpoints/mine"
	for _, folder := range []string{"teams/vision", "teams/audio"} {
		s.write(folder+"/"+place+"/step_1/x", "x")
	}
	live := webtest.Run(run.Running)
	live.Project, live.CheckpointPath, live.Shape.Folder = "audio", place, "teams/audio"
	s.Fake.AllRuns = []run.Run{live}
	if a := s.Do("POST", "/storage/delete?project=audio&path="+place, url.Values{}); a.Status != http.StatusConflict {
		t.Errorf("a live run's checkpoints: %d", a.Status)
	}
	action := s.Get("/storage/delete?project=vision&path="+place, 200).Doc.Find("main form").AttrOr("action", "")
	a := s.Do("POST", action, url.Values{})
	if a.Status != http.StatusSeeOther || !strings.Contains(a.Header.Get("Location"), "project=vision") || s.there("teams/vision/"+place) || !s.there("teams/audio/"+place) {
		t.Errorf("%s: %d to %s", action, a.Status, a.Header.Get("Location"))
	}
}

func TestAProjectsFolderThatIsGoneIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := newShelves(t, teams, member(map[string]access.Role{"vision": access.Admin}))
	if err := os.RemoveAll(filepath.Join(s.dir, "teams/vision")); err != nil {
		t.Fatal(err)
	}
	a := s.Get("/storage", 200)
	if text := a.Text(t, "[data-storage-problems]"); !strings.Contains(text, filepath.Join(s.dir, "teams/vision")+" It is missing.") {
		t.Errorf("%s", text)
	}
	action := a.Doc.Find("[data-storage-problems] form").AttrOr("action", "")
	if made := s.Do("POST", action, url.Values{}); made.Status != http.StatusSeeOther || !s.there("teams/vision/models/final") {
		t.Errorf("%s: %d", action, made.Status)
	}
	if again := s.Get("/storage", 200); again.Count("[data-storage-problems]") != 0 || row(again, "models").Length() != 1 {
		t.Errorf("%s", again.Text(t, "main"))
	}
}
