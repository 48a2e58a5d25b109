package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/views"
)

// deleteTimeout is how long one request deletes; what is left then is for the next one.
const deleteTimeout = pageTimeout - 2*time.Second

// handleStorageDeleteAsk says what would be deleted, and asks.
func (s *Server) handleStorageDeleteAsk(w http.ResponseWriter, r *http.Request) error {
	if s.Storage == nil {
		return fault.ErrNoStorage
	}
	p := strings.TrimSuffix(r.URL.Query().Get("path"), "/")
	if p == "" {
		return fault.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(r.Context(), countTimeout)
	defer cancel()
	u, err := s.Storage.Usage(ctx, p)
	if err != nil {
		return err
	}
	parent := storageLink("/storage", storage.Parent(p))
	c := views.Confirm{
		Key: "delete", Icon: "trash", Title: fmt.Sprintf("Delete “%s”?", storage.Display(path.Base(p))), Label: "Delete it", KeepLabel: "Keep it",
		Action: storageLink("/storage/delete", p), Back: parent,
	}
	count := views.StorageCount(u.Files, u.Folders, u.Bytes)
	if u.Partial {
		count = "At least " + count
	}
	c.Effects = append(c.Effects, count+". It is in "+place(p)+" and cannot be brought back. Nothing that a link leads to is deleted.")
	text, err := s.inUse(ctx, p)
	if err != nil {
		return err
	}
	if text != "" {
		c.Effects = append(c.Effects, text)
		c.Action = storageLink("/storage/delete", p, "in_use", "true")
	}
	return s.render(w, r, http.StatusOK, views.ConfirmPage(s.page(r, c.Title, "storage"), c))
}

// place names the folder that a path is in.
func place(p string) string {
	if parent := storage.Parent(p); parent != "" {
		return storage.Display(parent)
	}
	return "shared storage"
}

// inUse warns when a run that has not ended keeps its checkpoints there, "" when none does.
func (s *Server) inUse(ctx context.Context, p string) (string, error) {
	keepers, err := control.Keepers(ctx, s.Runs, p, s.Storage.Below)
	return control.KeepersText(keepers), err
}

// handleStorageDelete deletes a file or a folder.
func (s *Server) handleStorageDelete(w http.ResponseWriter, r *http.Request) error {
	if s.Storage == nil {
		return fault.ErrNoStorage
	}
	p := r.URL.Query().Get("path")
	ctx, cancel := context.WithTimeout(r.Context(), deleteTimeout)
	defer cancel()
	if r.URL.Query().Get("in_use") != "true" { // else whoever asks has been told
		text, err := s.inUse(ctx, p)
		if err != nil {
			return err
		}
		if text != "" {
			return fault.New(fault.ErrInUse, text, "Stop it first, or ask again to delete the folder.")
		}
	}
	gone, err := s.Storage.Delete(ctx, p)
	if gone != (storage.Removed{}) {
		s.Logger.InfoContext(r.Context(), "deleted from shared storage", "storage_path", storage.Display(p), "files", gone.Files, "folders", gone.Folders, "bytes", gone.Bytes, "actor", actor)
	}
	if err != nil {
		return notAll(err, gone)
	}
	http.Redirect(w, r, storageLink("/storage", storage.Parent(p), "deleted", goneText(gone)), http.StatusSeeOther)
	return nil
}

// notAll says how far a deletion got that did not come to its end.
func notAll(err error, gone storage.Removed) error {
	if gone == (storage.Removed{}) {
		return err
	}
	why := *fault.Of(err)
	if errors.Is(err, context.DeadlineExceeded) {
		why.What, why.Do = "There was more than one request can delete.", "Delete it again to go on."
	}
	why.Title = "Deleted only in part"
	why.What = views.StorageCount(gone.Files, gone.Folders, gone.Bytes) + " are gone; the rest is still there. " + why.What
	return &why
}
