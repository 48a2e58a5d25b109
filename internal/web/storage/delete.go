package storage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/storage"
	"github.com/cotrain/cotrain/views/ui"
)

// deleteTimeout bounds one request's deletion; the next continues.
const deleteTimeout = page.Timeout - 2*time.Second

// DeleteAsk confirms a deletion.
func (s *Pages) DeleteAsk(w http.ResponseWriter, r *http.Request) error {
	p := strings.TrimSuffix(r.URL.Query().Get("path"), "/")
	if p == "" {
		return fault.ErrNotFound
	}
	st, to, err := s.here(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), countTimeout)
	defer cancel()
	u, err := st.Usage(ctx, p)
	if err != nil {
		return err
	}
	parent := to.to("/storage", storage.Parent(p))
	c := ui.Confirm{
		Key: "delete", Icon: "trash", Title: fmt.Sprintf("Delete “%s”?", storage.Display(path.Base(p))), Label: "Delete", KeepLabel: "Keep",
		Action: to.to("/storage/delete", p), Back: parent,
	}
	count := view.Count(u.Files, u.Folders, u.Bytes)
	if u.Partial {
		count = "At least " + count
	}
	c.Effects = append(c.Effects, count+" in "+place(p)+", deleted for good. Link targets are kept.")
	text, err := s.inUse(ctx, st, p)
	if err != nil {
		return err
	}
	if text != "" {
		c.Effects = append(c.Effects, text)
		c.Action = to.to("/storage/delete", p, "in_use", "true")
	}
	return s.Ask(w, r, "storage", c)
}

func place(p string) string {
	if parent := storage.Parent(p); parent != "" {
		return storage.Display(parent)
	}
	return "shared storage"
}

// inUse warns if a live run keeps checkpoints there.
func (s *Pages) inUse(ctx context.Context, st Storage, p string) (string, error) {
	keepers, err := control.CheckpointUsers(ctx, s.Runs.CheckpointKeepers, p, st.Touches)
	return control.CheckpointUsersWarning(keepers), err
}

// Delete deletes a file or a folder.
func (s *Pages) Delete(w http.ResponseWriter, r *http.Request) error {
	p := r.URL.Query().Get("path")
	st, to, err := s.here(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), deleteTimeout)
	defer cancel()
	if r.URL.Query().Get("in_use") != "true" { // else the warning was shown
		text, err := s.inUse(ctx, st, p)
		if err != nil {
			return err
		}
		if text != "" {
			return fault.New(fault.ErrInUse, text, "Stop it first, or ask again to delete the folder.")
		}
	}
	gone, err := st.Delete(ctx, p)
	if gone != (storage.Removed{}) {
		s.Logger.InfoContext(r.Context(), "deleted from shared storage", "storage_path", storage.Display(p), "files", gone.Files, "folders", gone.Folders, "bytes", gone.Bytes, "actor", access.From(r.Context()).Name)
	}
	if err != nil {
		return partly(err, gone)
	}
	return page.Redirect(w, r, to.to("/storage", storage.Parent(p), "deleted", goneText(gone)))
}

// partly adds to a failed deletion how far it got.
func partly(err error, gone storage.Removed) error {
	if gone == (storage.Removed{}) {
		return err
	}
	why := *fault.Of(err)
	if errors.Is(err, context.DeadlineExceeded) {
		why.What, why.Fix = "Too much for one request.", "Delete again to continue."
	}
	why.Title = "Partly deleted"
	why.What = view.Count(gone.Files, gone.Folders, gone.Bytes) + " deleted; the rest is still there. " + why.What
	return &why
}
