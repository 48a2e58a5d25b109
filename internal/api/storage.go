package api

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Storage is the folder that all workers share. What its state does not allow is a [storage.Refusal].
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
	// CheckPaths judges the paths that a configuration names, where they can be seen.
	CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors)
	// Below maps a path of a configuration to one of the storage.
	Below(given string) (string, bool)
}

// SharedStorage is shared storage as a whole.
type SharedStorage struct {
	Path    string          `json:"path" doc:"The folder as the console sees it"`
	Mount   string          `json:"mount" doc:"The same folder as workers see it"`
	Folders []StorageFolder `json:"folders" nullable:"false" doc:"Of its layout"`
	Done    []string        `json:"done,omitempty" nullable:"false" doc:"What was repaired"`
}

// StorageFolder is [storage.Folder].
type StorageFolder struct {
	Path    string `json:"path"`
	Purpose string `json:"purpose" doc:"What belongs there"`
	Jobs    bool   `json:"jobs" doc:"Whether jobs write there"`
	Found   bool   `json:"found"`
	Mode    string `json:"mode,omitempty" doc:"In octal"`
	Owner   string `json:"owner,omitempty" doc:"user:group"`
	Problem string `json:"problem,omitempty" doc:"What is not as it should be"`
}

// StorageEntry is one name in a folder.
type StorageEntry struct {
	Name    string       `json:"name" doc:"As it can be shown: control characters and bytes that are not UTF-8 are escapes"`
	Path    string       `json:"path" doc:"From the root, each name percent-encoded so that every byte comes back; a query parameter takes it as it is"`
	Kind    storage.Kind `json:"kind" enum:"file,folder,link,other" doc:"other is a device, a socket or a FIFO, which is never opened"`
	Bytes   int64        `json:"bytes" doc:"Of a file; of a folder when sizes were asked for; -1 when not known"`
	Partial bool         `json:"partial,omitempty" doc:"The folder holds more than was counted"`
	Time    time.Time    `json:"time,omitzero" doc:"When it was last changed"`
	Target  string       `json:"target,omitempty" doc:"Of a link: the text that it holds"`
	Leads   storage.Kind `json:"leads,omitempty" doc:"What a link leads to within the storage"`
	Note    string       `json:"note,omitempty" doc:"What belongs there, or what kind of other it is"`
}

// StoragePage is a page of a folder.
type StoragePage struct {
	Path    string         `json:"path" doc:"Of the folder, percent-encoded; empty for the root"`
	Purpose string         `json:"purpose,omitempty" doc:"What belongs there"`
	Items   []StorageEntry `json:"items" nullable:"false"`
	Next    string         `json:"next,omitempty" doc:"Cursor of the next page; absent on the last"`
	Seen    int            `json:"seen" doc:"Names that were read for this page; all there are, when sorted"`
	Sorted  bool           `json:"sorted" doc:"false when there are more names than are sorted: they come in the folder's own order"`
	More    bool           `json:"more" doc:"There are others, which were not read"`
}

// StorageCount is how much there is, or was.
type StorageCount struct {
	Files   int64 `json:"files" doc:"Everything that is not a folder"`
	Folders int64 `json:"folders"`
	Bytes   int64 `json:"bytes" doc:"Of regular files"`
	Partial bool  `json:"partial,omitempty" doc:"There is more than was counted"`
	// Both are said before a deletion only.
	Kept  string `json:"kept,omitempty" doc:"Why it cannot be deleted"`
	InUse string `json:"in_use,omitempty" doc:"What to know before deleting it: which run keeps its checkpoints there"`
}

// storage returns shared storage, or says that there is none.
func (s *server) storage() (Storage, error) {
	if s.Storage == nil {
		return nil, fault.ErrNoStorage
	}
	return s.Storage, nil
}

type storageOutput struct {
	Body SharedStorage
}

func storageAnswer(st Storage, done []string, folders []storage.Folder) *storageOutput {
	out := &storageOutput{SharedStorage{Path: storage.Display(st.Path()), Mount: storage.Display(st.Mount()), Done: done}}
	for _, f := range folders {
		x := StorageFolder{Path: f.Path, Purpose: f.Purpose, Jobs: f.Jobs, Found: f.Found, Owner: f.Owner, Problem: f.Problem}
		if f.Found {
			x.Mode = storage.FormatMode(f.Mode)
		}
		out.Body.Folders = append(out.Body.Folders, x)
	}
	return out
}

func (s *server) getStorage(ctx context.Context, _ *struct{}) (*storageOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	folders, err := st.Layout(ctx)
	if err != nil {
		return nil, err
	}
	return storageAnswer(st, nil, folders), nil
}

func (s *server) repairStorage(ctx context.Context, _ *struct{}) (*storageOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	done, folders, err := st.Repair(ctx)
	if err != nil {
		return nil, err
	}
	s.Logger.InfoContext(ctx, "shared storage", "did", done, "actor", actor)
	return storageAnswer(st, done, folders), nil
}

// StoragePath names a place in shared storage.
type StoragePath struct {
	Path string `query:"path" maxLength:"8192" doc:"From the root, without a slash at its beginning; empty for the root"`
}

type listStorageInput struct {
	StoragePath
	Sort       string `query:"sort" enum:"name,size,time" default:"name"`
	Descending bool   `query:"descending"`
	Limit      int    `query:"limit" default:"200" minimum:"1" maximum:"500"`
	Cursor     string `query:"cursor" maxLength:"1000" doc:"The next of the previous page"`
	Sizes      bool   `query:"sizes" doc:"Counts what folders hold, for a few seconds"`
}

type listStorageOutput struct {
	Body StoragePage
}

// countTimeout is how long the sizes of folders are counted for one answer.
const countTimeout = 5 * time.Second

func (s *server) listStorage(ctx context.Context, in *listStorageInput) (*listStorageOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	l, err := st.List(ctx, in.Path, storage.Query{Sort: storage.Sort(in.Sort), Descending: in.Descending, Limit: in.Limit, Cursor: in.Cursor})
	if err != nil {
		return nil, atStorage(err)
	}
	out := &listStorageOutput{StoragePage{
		Path: storage.Escape(l.Path), Purpose: l.Purpose, Items: make([]StorageEntry, 0, len(l.Entries)), Next: l.Next, Seen: l.Seen, Sorted: l.Sorted, More: l.More,
	}}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	for _, e := range l.Entries {
		p := e.Name
		if l.Path != "" {
			p = l.Path + "/" + e.Name
		}
		x := StorageEntry{
			Name: storage.Display(e.Name), Path: storage.Escape(p), Kind: e.Kind, Bytes: e.Size, Time: e.Time, Target: storage.Display(e.Target), Leads: e.Leads, Note: e.Purpose + e.Special,
		}
		if in.Sizes && e.Kind == storage.KindFolder {
			if u, err := st.Usage(ctx, p); err != nil { // time is up, or it has gone
				x.Bytes = -1
			} else {
				x.Bytes, x.Partial = u.Bytes, u.Partial
			}
		}
		out.Body.Items = append(out.Body.Items, x)
	}
	return out, nil
}

type storageCountOutput struct {
	Body StorageCount
}

func (s *server) countStorage(ctx context.Context, in *StoragePath) (*storageCountOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	u, err := st.Usage(ctx, in.Path)
	if err != nil {
		return nil, atStorage(err)
	}
	keepers, err := control.Keepers(ctx, s.Runs, in.Path, st.Below)
	if err != nil {
		return nil, err
	}
	out := StorageCount{Files: u.Files, Folders: u.Folders, Bytes: u.Bytes, Partial: u.Partial, InUse: control.KeepersText(keepers)}
	if err := storage.Deletable(in.Path); err != nil {
		out.Kept = err.Error()
	}
	return &storageCountOutput{out}, nil
}

type deleteStorageInput struct {
	StoragePath
	InUse bool `query:"in_use" doc:"Delete it although a run that has not ended keeps its checkpoints there: it may fail, and cannot be resumed from them"`
}

// deleteStorage says how far it got when it could not remove everything: calling it again goes on.
func (s *server) deleteStorage(ctx context.Context, in *deleteStorageInput) (*storageCountOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	if !in.InUse {
		keepers, err := control.Keepers(ctx, s.Runs, in.Path, st.Below)
		if err != nil {
			return nil, err
		}
		if text := control.KeepersText(keepers); text != "" {
			return nil, fault.New(fault.ErrInUse, text, "Stop it first, or delete with in_use=true (--in-use on the command line).")
		}
	}
	gone, err := st.Delete(ctx, in.Path)
	if gone != (storage.Removed{}) {
		s.Logger.InfoContext(ctx, "deleted from shared storage", "path", storage.Display(in.Path), "files", gone.Files, "folders", gone.Folders, "bytes", gone.Bytes, "actor", actor)
	}
	if err != nil {
		p := classify(atStorage(err))
		if gone != (storage.Removed{}) {
			p.Title = "Deleted only in part"
			p.Detail = fmt.Sprintf("%d files and %d folders with %d bytes are gone; the rest is still there. %s", gone.Files, gone.Folders, gone.Bytes, p.Detail)
		}
		return nil, p
	}
	return &storageCountOutput{StorageCount{Files: gone.Files, Folders: gone.Folders, Bytes: gone.Bytes}}, nil
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
	Prefix string `query:"prefix" maxLength:"8192"`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"50"`
}

type completeStorageOutput struct {
	Body struct {
		Items []string `json:"items" nullable:"false" doc:"Folders end with a slash"`
	}
}

func (s *server) completeStorage(ctx context.Context, in *completeStorageInput) (*completeStorageOutput, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	found, err := st.Complete(ctx, in.Prefix, in.Limit)
	out := &completeStorageOutput{}
	out.Body.Items = notNil(found)
	return out, err
}

type readStorageInput struct {
	StoragePath
	Range   string `header:"Range" doc:"bytes=N-M: only these"`
	IfRange string `header:"If-Range" doc:"ETag of the part that the client has: if the file is another by now, all of it is sent"`
}

// readStorage sends a file. It takes as long as the reader goes on reading.
func (s *server) readStorage(ctx context.Context, in *readStorageInput) (*huma.StreamResponse, error) {
	st, err := s.storage()
	if err != nil {
		return nil, err
	}
	f, err := st.Open(ctx, in.Path)
	if err != nil {
		return nil, atStorage(err)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		storage.Serve(w, r, f)
	}}, nil
}
