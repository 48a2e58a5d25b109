package storage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/storage"
)

const (
	// storagePage is the entries per page.
	storagePage = 200
	// countTimeout bounds counting sizes for a page.
	countTimeout = 3 * time.Second
)

// storageLink is a storage page's address for a path.
func storageLink(page, path string, more ...string) string {
	q := url.Values{}
	if path != "" {
		q.Set("path", path)
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i+1] != "" {
			q.Set(more[i], more[i+1])
		}
	}
	if len(q) == 0 {
		return page
	}
	return page + "?" + q.Encode()
}

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
	params := r.URL.Query()
	q, sizes := storageQuery(params)
	listing, err := s.Storage.List(r.Context(), params.Get("path"), q)
	if err != nil {
		return err
	}
	f := s.storageFolder(r.Context(), listing, q, sizes)
	f.Gone = goneOf(params.Get("deleted"))
	if f.Path == "" {
		folders, err := s.Storage.Layout(r.Context())
		if err != nil {
			return err
		}
		for _, x := range folders {
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
	f, err := s.Storage.Open(r.Context(), r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	storage.ServeFile(w, r, f)
	return nil
}

// Layout creates missing folders of the layout.
func (s *Pages) Layout(w http.ResponseWriter, r *http.Request) error {
	done, _, err := s.Storage.Repair(r.Context())
	if err != nil {
		return err
	}
	for _, text := range done {
		s.Logger.InfoContext(r.Context(), "shared storage", "did", text, "actor", access.From(r.Context()).Name)
	}
	return page.Redirect(w, r, "/storage")
}

// Complete completes the query's prefix.
func (s *Pages) Complete(w http.ResponseWriter, r *http.Request) error {
	answer := struct {
		Items []string `json:"items"`
	}{[]string{}}
	if s.Storage != nil {
		found, err := s.Storage.Complete(r.Context(), r.URL.Query().Get("prefix"), storage.MaxCompletions)
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
