package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	storagePath = "/api/v1/storage"
	filePath    = storagePath + "/file"
)

// SharedStorage is shared storage as a whole.
type SharedStorage struct {
	Path    string          `json:"path" doc:"The folder as the console sees it"`
	Mount   string          `json:"mount" doc:"The same folder as workers see it"`
	Folders []StorageFolder `json:"folders" nullable:"false" doc:"Of its layout"`
	Done    []string        `json:"done,omitempty" nullable:"false" doc:"What was repaired"`
}

// StorageFolder is a folder of the layout.
type StorageFolder struct {
	Path    string `json:"path"`
	Purpose string `json:"purpose" doc:"What belongs there"`
	Jobs    bool   `json:"jobs" doc:"Whether jobs write there"`
	Found   bool   `json:"found"`
	Mode    string `json:"mode,omitempty" doc:"In octal"`
	Owner   string `json:"owner,omitempty" doc:"user:group"`
	Problem string `json:"problem,omitempty" doc:"What is not as it should be"`
}

// InStorage names a project's shared storage.
type InStorage struct {
	Project string `query:"project" maxLength:"63" doc:"Whose storage: the project's folder, or for projects without one what is no project's. Left out, that of all your projects, if it is one; administrators of the console get the whole"`
}

// StorageProject is the project.
func (s InStorage) StorageProject() string { return s.Project }

// Storage reads shared storage and how the folders of its layout are.
func (c *Client) Storage(ctx context.Context, in InStorage) (SharedStorage, error) {
	return get[SharedStorage](ctx, c, storagePath, in)
}

// RepairStorage makes the folders of the layout that are missing.
func (c *Client) RepairStorage(ctx context.Context, in InStorage) (out SharedStorage, err error) {
	return out, c.send(ctx, http.MethodPost, storagePath+"/layout"+encode(in), nil, &out)
}

// StoragePath names a place in shared storage.
type StoragePath struct {
	InStorage
	Path string `query:"path" maxLength:"8192" doc:"From the root, without a slash at its beginning; empty for the root"`
}

// StorageQuery says which page of a folder to list.
type StorageQuery struct {
	StoragePath
	Sort       string `query:"sort" enum:"name,size,time" default:"name"`
	Descending bool   `query:"descending"`
	Limit      int    `query:"limit" default:"200" minimum:"1" maximum:"500"`
	Cursor     string `query:"cursor" maxLength:"1000" doc:"The next of the previous page"`
	Sizes      bool   `query:"sizes" doc:"Counts what folders hold, for a few seconds"`
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

// StorageEntry is one name in a folder.
type StorageEntry struct {
	Name    string    `json:"name" doc:"As it can be shown: control characters and bytes that are not UTF-8 are escapes"`
	Path    string    `json:"path" doc:"From the root, each name percent-encoded so that every byte comes back; a query parameter takes it as it is"`
	Kind    string    `json:"kind" enum:"file,folder,link,other" doc:"other is a device, a socket or a FIFO, which is never opened"`
	Bytes   int64     `json:"bytes" doc:"Of a file; of a folder when sizes were asked for; -1 when not known"`
	Partial bool      `json:"partial,omitempty" doc:"The folder holds more than was counted"`
	Time    time.Time `json:"time,omitzero" doc:"When it was last changed"`
	Target  string    `json:"target,omitempty" doc:"Of a link: the text that it holds"`
	Leads   string    `json:"leads,omitempty" doc:"What a link leads to within the storage"`
	Note    string    `json:"note,omitempty" doc:"What belongs there, or what kind of other it is"`
}

// StorageList lists a folder.
func (c *Client) StorageList(ctx context.Context, q StorageQuery) (StoragePage, error) {
	return get[StoragePage](ctx, c, storagePath+"/list", q)
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

// StorageUsage counts what a file or folder holds.
func (c *Client) StorageUsage(ctx context.Context, at StoragePath) (StorageCount, error) {
	return get[StorageCount](ctx, c, storagePath+"/usage", at)
}

// StorageDeletion says what to delete.
type StorageDeletion struct {
	StoragePath
	InUse bool `query:"in_use" doc:"Delete it although a run that has not ended keeps its checkpoints there: it may fail, and cannot be resumed from them"`
}

// DeleteStorage deletes a file, or a folder with all that is in it.
func (c *Client) DeleteStorage(ctx context.Context, q StorageDeletion) (out StorageCount, err error) {
	return out, c.send(ctx, http.MethodDelete, filePath+encode(q), nil, &out)
}

// maxStall is how long a download may bring nothing.
const maxStall = answerTimeout

// Download copies a file of shared storage to w, and returns its length. It may take as long as it takes, as long as something
// comes.
func (c *Client) Download(ctx context.Context, at StoragePath, w io.Writer) (int64, error) {
	return c.download(ctx, filePath+encode(at), w)
}

func (c *Client) download(ctx context.Context, address string, w io.Writer) (int64, error) {
	n, _, err := c.receive(ctx, address, w)
	return n, err
}

// receive is download that also returns what follows the file.
func (c *Client) receive(ctx context.Context, address string, w io.Writer) (int64, http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(maxStall, func() { cancel(&Unreachable{c.base, fmt.Errorf("nothing came for %v", maxStall)}) })
	defer watch.Stop()
	req, err := c.request(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // the length of the answer is that of the file
	patient := *c.http
	patient.Timeout = 0
	res, err := patient.Do(req)
	if err != nil {
		return 0, nil, c.lost(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	if res.StatusCode != http.StatusOK {
		return 0, nil, c.refused(ctx, res, io.LimitReader(res.Body, maxAnswer))
	}
	n, err := io.Copy(&progress{w, watch}, res.Body)
	var local *writeError
	switch {
	case errors.As(err, &local):
		return n, nil, err
	case err != nil:
		return n, nil, c.lost(ctx, err)
	case res.ContentLength >= 0 && n != res.ContentLength:
		return n, nil, c.lost(ctx, io.ErrUnexpectedEOF)
	}
	return n, res.Trailer, nil
}

// progress puts off the end of the patience with each piece, and tells apart which side failed.
type progress struct {
	w     io.Writer
	watch *time.Timer
}

// Write is for [io.Copy].
func (p *progress) Write(b []byte) (int, error) {
	p.watch.Reset(maxStall)
	n, err := p.w.Write(b)
	if err != nil {
		return n, &writeError{err}
	}
	return n, nil
}

type writeError struct{ cause error }

func (e *writeError) Error() string { return "write output: " + e.cause.Error() }
func (e *writeError) Unwrap() error { return e.cause }
