package web

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// Storage is the folder that all workers share.
type Storage interface {
	Path() string
	Mount() string
	Files
	Layout(ctx context.Context) ([]storage.Folder, error)
	Repair(ctx context.Context) (done []string, folders []storage.Folder, err error)
	// Complete returns paths that begin with what was typed.
	Complete(ctx context.Context, prefix string, limit int) ([]string, error)
	// CheckPaths judges the paths that a configuration names, where they can be seen.
	CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors)
	// Below maps a path of a configuration to one of the storage.
	Below(given string) (string, bool)
}

// Files is what is in shared storage. What its state does not allow is a [storage.Refusal].
type Files interface {
	List(ctx context.Context, path string, q storage.Query) (storage.Listing, error)
	Usage(ctx context.Context, path string) (storage.Usage, error)
	Open(ctx context.Context, path string) (*storage.File, error)
	Delete(ctx context.Context, path string) (storage.Removed, error)
}

const (
	// storagePage is how many entries a page of a folder has.
	storagePage = 200
	// countTimeout is how long the sizes of folders are counted for one page.
	countTimeout = 3 * time.Second
)

// storageLink is the address of a page of the storage for a path, which comes back in every byte.
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

// storageQuery reads how a folder is to be shown: the query's sort, order, cursor and sizes.
func storageQuery(q url.Values) (storage.Query, bool) {
	return storage.Query{
		Sort: storage.Sort(q.Get("sort")), Descending: q.Get("order") == "desc", Cursor: q.Get("cursor"), Limit: storagePage,
	}, q.Get("sizes") == "1"
}

// handleStorage shows one folder of shared storage.
func (s *Server) handleStorage(w http.ResponseWriter, r *http.Request) error {
	page := s.page(r, "Storage", "storage")
	if s.Storage == nil {
		return s.render(w, r, http.StatusOK, views.StorageOffPage(page))
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
				f.Problems = append(f.Problems, views.StorageProblem{Path: x.Path, Text: x.Problem})
				f.Missing = f.Missing || !x.Found
			}
		}
	}
	if f.Name != "" {
		page.Title = f.Name + " · Storage"
	}
	return s.render(w, r, http.StatusOK, views.StoragePage(page, f))
}

// handleStorageFile sends a file to be kept.
func (s *Server) handleStorageFile(w http.ResponseWriter, r *http.Request) error {
	if s.Storage == nil {
		return fault.ErrNoStorage
	}
	f, err := s.Storage.Open(r.Context(), r.URL.Query().Get("path"))
	if err != nil {
		return err
	}
	storage.Serve(w, r, f)
	return nil
}

// handleStorageLayout makes the folders of the layout that are missing.
func (s *Server) handleStorageLayout(w http.ResponseWriter, r *http.Request) error {
	if s.Storage == nil {
		return fault.ErrNoStorage
	}
	done, _, err := s.Storage.Repair(r.Context())
	if err != nil {
		return err
	}
	for _, text := range done {
		s.Logger.InfoContext(r.Context(), "shared storage", "did", text, "actor", actor)
	}
	http.Redirect(w, r, "/storage", http.StatusSeeOther)
	return nil
}

// handleStorageComplete answers with paths that begin with the query's prefix.
func (s *Server) handleStorageComplete(w http.ResponseWriter, r *http.Request) error {
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
	return renderJSON(w, http.StatusOK, answer)
}

// goneOf reads what a deletion says in the address of the page after it.
func goneOf(text string) *views.StorageGone {
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
	return &views.StorageGone{Files: n[0], Folders: n[1], Bytes: n[2]}
}

func goneText(g storage.Removed) string {
	return strconv.FormatInt(g.Files, 10) + "." + strconv.FormatInt(g.Folders, 10) + "." + strconv.FormatInt(g.Bytes, 10)
}

// see judges the paths of a form where shared storage tells. A field that is wrong already keeps its message.
func (s *Server) see(ctx context.Context, d *draft) {
	if s.Storage == nil {
		return
	}
	errs, warns := s.Storage.CheckPaths(ctx, d.request.EffectiveConfig(), d.request.Shape)
	for _, e := range errs {
		if !d.wrong(e.Field) {
			d.errs = append(d.errs, e)
		}
	}
	d.warns = append(d.warns, warns...)
}
