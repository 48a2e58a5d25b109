package api

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/storage"
)

// StorageOf returns the shared storage of a project; without one that of all projects of who asks, or [run.FieldErrors] of the
// field project where those differ.
type StorageOf func(ctx context.Context, project string) (Storage, error)

// Storage is the folder that all workers share, or a project's part of it. What its state does not allow is a [storage.Refusal].
type Storage interface {
	Path() string
	Mount() string
	Layout(ctx context.Context) ([]storage.Folder, error)
	Repair(ctx context.Context) (done []string, folders []storage.Folder, err error)
	List(ctx context.Context, path string, q storage.Query) (storage.Listing, error)
	Usage(ctx context.Context, path string) (storage.Usage, error)
	Open(ctx context.Context, path string) (*storage.File, error)
	Delete(ctx context.Context, path string) (storage.Removed, error)
	Complete(ctx context.Context, prefix string, limit int) ([]string, error)
	// CheckDeletable returns why a path is never deleted.
	CheckDeletable(path string) error
	// Touches reports whether a path of a run, of a project with that folder, is at, around or below one here.
	Touches(here, folder, given string) bool
}

// stored gives a handler the shared storage of the project that the input names, or says that there is none.
func stored[T, I any, P interface {
	*I
	StorageProject() string
}](s *server, h func(context.Context, Storage, *I) (T, error)) func(context.Context, *I) (T, error) {
	return func(ctx context.Context, in *I) (out T, err error) {
		if s.Storage == nil {
			return out, fault.ErrNoStorage
		}
		st, err := s.Storage(ctx, P(in).StorageProject())
		if err != nil {
			return out, atStorage(err)
		}
		return h(ctx, st, in)
	}
}

func storageAnswer(st Storage, done []string, folders []storage.Folder) client.SharedStorage {
	out := client.SharedStorage{Path: storage.Display(st.Path()), Mount: storage.Display(st.Mount()), Done: done}
	for _, f := range folders {
		x := client.StorageFolder{Path: f.Path, Purpose: f.Purpose, Jobs: f.Jobs, Found: f.Found, Owner: f.Owner, Problem: f.Problem}
		if f.Found {
			x.Mode = storage.FormatMode(f.Mode)
		}
		out.Folders = append(out.Folders, x)
	}
	return out
}

func (s *server) getStorage(ctx context.Context, st Storage, _ *client.InStorage) (out client.SharedStorage, err error) {
	folders, err := st.Layout(ctx)
	if err != nil {
		return out, err
	}
	return storageAnswer(st, nil, folders), nil
}

func (s *server) repairStorage(ctx context.Context, st Storage, _ *client.InStorage) (out client.SharedStorage, err error) {
	done, folders, err := st.Repair(ctx)
	if err != nil {
		return out, err
	}
	s.Logger.InfoContext(ctx, "shared storage", "did", done, "actor", access.From(ctx).Name)
	return storageAnswer(st, done, folders), nil
}

// countTimeout is how long the sizes of folders are counted for one answer.
const countTimeout = 5 * time.Second

func (s *server) listStorage(ctx context.Context, st Storage, in *client.StorageQuery) (out client.StoragePage, err error) {
	l, err := st.List(ctx, in.Path, storage.Query{Sort: storage.Sort(in.Sort), Descending: in.Descending, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return out, atStorage(err)
	}
	out = client.StoragePage{
		Path: storage.Escape(l.Path), Purpose: l.Purpose, Items: make([]client.StorageEntry, 0, len(l.Entries)), Next: l.Next, Seen: l.Seen, Sorted: l.Sorted, More: l.More,
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	for _, e := range l.Entries {
		p := e.Name
		if l.Path != "" {
			p = l.Path + "/" + e.Name
		}
		x := client.StorageEntry{
			Name: storage.Display(e.Name), Path: storage.Escape(p), Kind: string(e.Kind), Bytes: e.Size, Time: e.Time, Target: storage.Display(e.Target), Leads: string(e.LinkKind), Note: e.Purpose + e.Special,
		}
		if in.Sizes && e.Kind == storage.KindFolder {
			if u, err := st.Usage(ctx, p); err != nil { // time is up, or it has gone
				x.Bytes = -1
			} else {
				x.Bytes, x.Partial = u.Bytes, u.Partial
			}
		}
		out.Items = append(out.Items, x)
	}
	return out, nil
}

func (s *server) countStorage(ctx context.Context, st Storage, in *client.StoragePath) (out client.StorageCount, err error) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	u, err := st.Usage(ctx, in.Path)
	if err != nil {
		return out, atStorage(err)
	}
	keepers, err := control.CheckpointUsers(ctx, s.Runs.CheckpointKeepers, in.Path, st.Touches)
	if err != nil {
		return out, err
	}
	out = client.StorageCount{Files: u.Files, Folders: u.Folders, Bytes: u.Bytes, Partial: u.Partial, InUse: control.CheckpointUsersWarning(keepers)}
	if err := st.CheckDeletable(in.Path); err != nil {
		out.Kept = err.Error()
	}
	return out, nil
}

// deleteStorage says how far it got when it could not remove everything: calling it again goes on.
func (s *server) deleteStorage(ctx context.Context, st Storage, in *client.StorageDeletion) (out client.StorageCount, err error) {
	if !in.InUse {
		keepers, err := control.CheckpointUsers(ctx, s.Runs.CheckpointKeepers, in.Path, st.Touches)
		if err != nil {
			return out, err
		}
		if text := control.CheckpointUsersWarning(keepers); text != "" {
			return out, fault.New(fault.ErrInUse, text, "Stop it first, or delete with in_use=true (--in-use on the command line).")
		}
	}
	gone, err := st.Delete(ctx, in.Path)
	if gone != (storage.Removed{}) {
		s.Logger.InfoContext(ctx, "deleted from shared storage", "path", storage.Display(in.Path), "files", gone.Files, "folders", gone.Folders, "bytes", gone.Bytes, "actor", access.From(ctx).Name)
	}
	if err != nil {
		p := classify(atStorage(err))
		if gone != (storage.Removed{}) {
			p.Title = "Deleted only in part"
			p.Detail = fmt.Sprintf("%d files and %d folders with %d bytes are gone; the rest is still there. %s", gone.Files, gone.Folders, gone.Bytes, p.Detail)
		}
		return out, p
	}
	return client.StorageCount{Files: gone.Files, Folders: gone.Folders, Bytes: gone.Bytes}, nil
}

// atStorage says where in the request a path stood that cannot be one.
func atStorage(err error) error {
	if p := classify(err); len(p.Errors) > 0 {
		for i := range p.Errors {
			p.Errors[i].Location = "query"
		}
		return p
	}
	return err
}

type completeStorageInput struct {
	client.InStorage
	Prefix string `query:"prefix" maxLength:"8192"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"50"`
}

type storagePaths struct {
	Items []string `json:"items" nullable:"false" doc:"Folders end with a slash"`
}

func (s *server) completeStorage(ctx context.Context, st Storage, in *completeStorageInput) (storagePaths, error) {
	found, err := st.Complete(ctx, in.Prefix, in.Limit)
	return storagePaths{notNil(found)}, err
}

type readStorageInput struct {
	client.StoragePath
	Range   string `header:"Range" doc:"bytes=N-M: only these"`
	IfRange string `header:"If-Range" doc:"ETag of the part that the client has: if the file is another by now, all of it is sent"`
}

// readStorage sends a file. It takes as long as the reader goes on reading.
func (s *server) readStorage(ctx context.Context, st Storage, in *readStorageInput) (*huma.StreamResponse, error) {
	f, err := st.Open(ctx, in.Path)
	if err != nil {
		return nil, atStorage(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		storage.ServeFile(w, r, f)
	}}, nil
}
