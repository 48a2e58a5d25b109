package storage

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/storage"
	"github.com/cotrain/cotrain/views/ui"
)

const (
	// storagePage is the entries per page.
	storagePage = 200
	// countTimeout bounds counting sizes for a page.
	countTimeout = 3 * time.Second
)

// storageQuery reads the query's sort, order, cursor and sizes.
func storageQuery(q url.Values) (storage.Query, bool) {
	return storage.Query{
		Sort: storage.Sort(q.Get("sort")), Descending: q.Get("order") == "desc", Cursor: q.Get("cursor"), Limit: storagePage,
	}, q.Get("sizes") == "1"
}

// Folder shows one folder of shared storage.
func (s *Pages) Folder(w http.ResponseWriter, r *http.Request) error {
	frame := s.Frame(r, "Storage", "storage")
	if s.Storage == nil {
		return s.Render(w, r, http.StatusOK, view.OffPage(frame))
	}
	st, to, err := s.here(r)
	if several(err) {
		return s.choose(w, r, frame)
	}
	if err != nil {
		return err
	}
	params := r.URL.Query()
	q, sizes := storageQuery(params)
	listing, err := st.List(r.Context(), params.Get("path"), q)
	if err != nil {
		return err
	}
	f := s.storageFolder(r.Context(), st, to, listing, q, sizes)
	f.Gone = goneOf(params.Get("deleted"))
	if f.Path == "" {
		folders, err := st.Layout(r.Context())
		if err != nil {
			return err
		}
		for _, x := range folders {
			if x.Path == "." { // a project's folder itself
				x.Path = st.Path()
			}
			if x.Problem != "" {
				f.Problems = append(f.Problems, view.Problem{Path: x.Path, Text: x.Problem})
				f.Missing = f.Missing || !x.Found
			}
		}
	}
	if f.Name != "" {
		frame.Title = f.Name + " · Storage"
	}
	return s.Render(w, r, http.StatusOK, view.Page(frame, f))
}

// File downloads a file.
func (s *Pages) File(w http.ResponseWriter, r *http.Request) error {
	st, _, err := s.here(r)
	if err != nil {
		return err
	}
	f, err := st.Open(r.Context(), r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	storage.ServeFile(w, r, f)
	return nil
}

// Layout creates missing folders of the layout.
func (s *Pages) Layout(w http.ResponseWriter, r *http.Request) error {
	st, to, err := s.here(r)
	if err != nil {
		return err
	}
	done, _, err := st.Repair(r.Context())
	if err != nil {
		return err
	}
	for _, text := range done {
		s.Logger.InfoContext(r.Context(), "shared storage", "did", text, "actor", access.From(r.Context()).Name)
	}
	return page.Redirect(w, r, to.to("/storage", ""))
}

// several reports whether a project has to be chosen.
func several(err error) bool {
	var fields run.FieldErrors
	return errors.As(err, &fields) && fields[0].Field == page.ParamProject && fields[0].Value == ""
}

// choose asks whose storage to show.
func (s *Pages) choose(w http.ResponseWriter, r *http.Request, frame ui.Page) error {
	var all []view.Choice
	for _, project := range s.ProjectsWith(r, access.StorageRead) {
		st, err := s.Storage(r.Context(), project)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(c view.Choice) bool { return c.Path == st.Path() })
		if i < 0 {
			all, i = append(all, view.Choice{Path: st.Path(), Href: links(project).to("/storage", "")}), len(all)
		}
		all[i].Projects = append(all[i].Projects, project)
	}
	return s.Render(w, r, http.StatusOK, view.ChoosePage(frame, all))
}

// Complete completes the query's prefix.
func (s *Pages) Complete(w http.ResponseWriter, r *http.Request) error {
	answer := struct {
		Items []string `json:"items"`
	}{[]string{}}
	if s.Storage != nil {
		st, _, err := s.here(r)
		if several(err) {
			return page.JSON(w, http.StatusOK, answer) // nobody said yet for which project
		}
		if err != nil {
			return err
		}
		found, err := st.Complete(r.Context(), r.URL.Query().Get("prefix"), storage.MaxCompletions)
		if err != nil {
			return err
		}
		answer.Items = append(answer.Items, found...)
	}
	return page.JSON(w, http.StatusOK, answer)
}

// goneOf reads the result of a deletion from the query.
func goneOf(text string) *view.Gone {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil
	}
	var n [3]int64
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 62)
		if err != nil {
			return nil
		}
		n[i] = int64(v) // #nosec G115 -- 62 bits
	}
	return &view.Gone{Files: n[0], Folders: n[1], Bytes: n[2]}
}

func goneText(g storage.Removed) string {
	return strconv.FormatInt(g.Files, 10) + "." + strconv.FormatInt(g.Folders, 10) + "." + strconv.FormatInt(g.Bytes, 10)
}
