package app

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
)

// TestNoProjectReachesTheStorageOfAnother asks for what is of each of two projects with folders, and of a third without, as a member
// of each.
func TestNoProjectReachesTheStorageOfAnother(t *testing.T) {
	t.Parallel()
	w := &walk{world: newWorld(t)}
	const third = "third-one"
	w.project(t, third, "")
	homes := map[string]string{projects[0]: folderOf(projects[0]) + "/", projects[1]: folderOf(projects[1]) + "/", third: ""}
	for project, home := range homes {
		w.write(t, home+"datasets/raw/of-"+project)
	}
	for project, home := range homes {
		a := asker{name: "admin of " + project, user: w.user(t, "member", access.Person, false, map[string]access.Role{project: access.Admin})}
		w.reload(t)
		w.sign(t, &a)
		for other, theirs := range homes {
			mine := other == project
			file := "datasets/raw/of-" + other
			targets := []string{"/storage/file?path=" + file, "/storage/delete?path=" + file, "/api/v1/storage/file?path=" + file, "/api/v1/storage/usage?path=" + file}
			for _, in := range []string{"", "&project=" + other} {
				for _, target := range targets {
					got := w.ask(t, wish{who: a, method: http.MethodGet, path: target + in})
					if (got.Code == http.StatusOK) != mine || !mine && got.Code != http.StatusNotFound {
						t.Errorf("%s: %s: %d", a.name, target+in, got.Code)
					}
				}
			}
			if mine {
				continue
			}
			for _, target := range []string{"/storage?path=" + strings.TrimSuffix(theirs, "/"), "/storage/file?path=" + theirs + file, "/storage/file?path=" + strings.Repeat("../", strings.Count(home, "/")) + theirs + file} {
				if got := w.ask(t, wish{who: a, method: http.MethodGet, path: target}); theirs != "" && got.Code == http.StatusOK || strings.Contains(got.Body.String(), "of-"+other) && theirs != "" && got.Code != http.StatusNotFound && got.Code != http.StatusUnprocessableEntity {
					t.Errorf("%s: %s: %d", a.name, target, got.Code)
				}
			}
			if got := w.ask(t, wish{who: a, method: http.MethodDelete, path: "/api/v1/storage/file?path=" + theirs + file}); got.Code == http.StatusOK {
				t.Errorf("%s deleted %s", a.name, theirs+file)
			}
			if _, err := os.Stat(filepath.Join(w.files, theirs+file)); err != nil {
				t.Errorf("%s: %v", a.name, err)
			}
		}
	}
}

func TestAProjectsFolderIsMadeWithItsLayout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project(t, "new", "")
	set := func(folder string) error {
		_, err := w.app.logIns.ChangeProject(w.root, "new", func(p *access.Project) { p.Settings.Folder = folder })
		return err
	}
	must(t, set("deep/er/new"))
	if info, err := os.Stat(filepath.Join(w.files, "deep/er/new/models/checkpoints")); err != nil || info.Mode().Perm()&0o020 == 0 {
		t.Errorf("%v, %v", info, err)
	}
	w.write(t, "file")
	must(t, os.Symlink("teams", filepath.Join(w.files, "link")))
	for folder, want := range map[string]string{
		"models/final": "is part of the layout", "file": "not a directory", "link/new": "goes through a link", folderOf(projects[0]) + "/in": "",
	} {
		var errs run.FieldErrors
		if err := set(folder); err == nil || want != "" && (!errors.As(err, &errs) || errs[0].Field != "folder" || !strings.Contains(errs[0].Rule, want)) {
			t.Errorf("%s: %v", folder, err)
		}
	}
	if got := w.app.logIns.Settings("new").Folder; got != "deep/er/new" {
		t.Errorf("it is %s", got)
	}
	must(t, os.RemoveAll(filepath.Join(w.files, "deep")))
	p := (&maker{world: w, t: t, project: "new"}).submission()
	var errs run.FieldErrors
	if _, err := w.app.actions.Submit(t.Context(), "ann", p); !errors.As(err, &errs) || errs[0].Field != "folder" || errs[0].Value != "deep/er/new" {
		t.Errorf("a run without its folder: %v", err)
	}
}
