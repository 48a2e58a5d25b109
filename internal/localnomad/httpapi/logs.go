package httpapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/logfile"
	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// onClient finds an allocation whose directory can be there. Its errors are those of a real agent that cannot find the node
// or the directory.
func (a *API) onClient(id string) (*api.Allocation, error) {
	if id == "" {
		return nil, badRequest("must provide a valid alloc id")
	}
	al := a.Store.Alloc(id)
	if al == nil {
		return nil, unknownAlloc(id)
	}
	if state.Gone(a.Store.Node(al.NodeID)) {
		return nil, notFound("No path to node")
	}
	if _, err := os.Stat(string(a.Runners.Dir(id))); err != nil && state.ClientTerminal(al) {
		return nil, notFound("state for allocation %s not found on client", id)
	}
	return al, nil
}

func (a *API) serveLogs(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	q := r.URL.Query()
	req := logfile.Request{
		Stream: logfile.Stream{Alloc: id, Task: q.Get("task"), Kind: q.Get("type")}, Dir: a.Runners.Dir(id).Logs(),
		Follow: boolParam(r, "follow", false), Plain: boolParam(r, "plain", false), End: q.Get("origin") == "end",
	}
	al, err := a.onClient(id)
	switch {
	case id == "":
		return nil, err
	case req.Task == "":
		return nil, badRequest("must provide task name")
	case req.Kind != "stdout" && req.Kind != "stderr":
		return nil, badRequest("must provide log type (stdout/stderr)")
	case !slices.Contains([]string{"", "start", "end"}, q.Get("origin")):
		return nil, badRequest("origin must be start or end")
	}
	if text := q.Get("offset"); text != "" {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, badRequest("error parsing offset: %v", err)
		}
		req.Offset = v
	}
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(state.Group(al).Tasks, func(t *api.Task) bool { return t.Name == req.Task }) {
		return nil, badRequest("unknown task name %q", req.Task)
	}
	if st := al.TaskStates[req.Task]; st == nil || st.StartedAt.IsZero() {
		return nil, notFound("task %q not started yet. No logs available", req.Task)
	}
	w.Header().Set("Content-Type", "application/json")
	if req.Plain {
		w.Header().Set("Content-Type", "text/plain")
	}
	if err = a.Logs.Serve(r.Context(), w, req); errors.Is(err, fs.ErrNotExist) {
		err = notFound("log entry for task %q and log type %q not found", req.Task, req.Kind)
	}
	return nil, err
}

// listDir lists a folder below an allocation's directory. A link must not lead out.
func (a *API) listDir(_ http.ResponseWriter, r *http.Request, id string) (any, error) {
	if _, err := a.onClient(id); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(string(a.Runners.Dir(id)))
	if err != nil {
		return nil, notFound("state for allocation %s not found on client", id)
	}
	defer func() { _ = root.Close() }() // only read
	path := filepath.Join(".", r.URL.Query().Get("path"))
	entries, err := fs.ReadDir(root.FS(), path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound("stat %s: no such file or directory", path)
	}
	if err != nil {
		return nil, fmt.Errorf("Path escapes the alloc directory, or cannot be read: %w", err) //nolint:staticcheck // begins with Nomad's text
	}
	infos := []*api.AllocFileInfo{}
	for _, e := range entries {
		if st, err := e.Info(); err == nil { // gone meanwhile otherwise
			infos = append(infos, &api.AllocFileInfo{Name: st.Name(), IsDir: st.IsDir(), Size: st.Size(), FileMode: st.Mode().String(), ModTime: st.ModTime()})
		}
	}
	return infos, nil
}
