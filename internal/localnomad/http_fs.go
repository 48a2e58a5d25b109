package localnomad

import (
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func (s *Server) handleFS(w http.ResponseWriter, r *http.Request) (any, error) {
	action, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/client/fs/"), "/")
	switch action {
	case "logs":
		return nil, s.serveLogs(w, r)
	case "ls":
		return s.listDir(r)
	case "stat":
		return s.statFile(r)
	case "cat", "readat":
		return nil, s.serveUntrusted(w, r, action)
	case "stream":
		return nil, s.serveFile(w, r, "stream")
	}
	return nil, codedError{http.StatusNotFound, errInvalidMethod}
}

func badRequest(text string) error { return codedError{http.StatusBadRequest, text} }

// clientAlloc finds an allocation whose directory is still there. Its errors
// are those of a real agent that cannot find the node or the directory.
func (s *Server) clientAlloc(id string) (*api.Allocation, error) {
	if id == "" {
		return nil, badRequest("must provide a valid alloc id")
	}
	if err := checkUUID("alloc", id); err != nil {
		return nil, err
	}
	a := s.st.allocByID(id)
	if a == nil {
		return nil, codedError{http.StatusNotFound, "Unknown allocation " + strconv.Quote(id)}
	}
	var node *api.Node
	s.st.view(func() { node = s.st.nodes[a.NodeID] })
	if gone(node) {
		return nil, codedError{http.StatusNotFound, "No path to node"}
	}
	if _, err := os.Stat(s.allocDir(id).root); err != nil {
		if clientTerminal(a) {
			return nil, codedError{http.StatusNotFound, fmt.Sprintf("state for allocation %s not found on client", id)}
		}
		return a, nil
	}
	return a, nil
}

func (s *Server) serveLogs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	req := logRequest{alloc: splitIDPath(r, "logs"), task: q.Get("task"), kind: q.Get("type")}
	if req.alloc == "" {
		return badRequest("must provide a valid alloc id")
	}
	if req.task == "" {
		return badRequest("must provide task name")
	}
	var plain bool
	for name, field := range map[string]*bool{"follow": &req.follow, "plain": &plain} {
		if text := q.Get(name); text != "" {
			v, err := strconv.ParseBool(text)
			if err != nil {
				return badRequest(fmt.Sprintf("failed to parse %s field to boolean: %v", name, err))
			}
			*field = v
		}
	}
	if req.kind != "stdout" && req.kind != "stderr" {
		return badRequest("must provide log type (stdout/stderr)")
	}
	if text := q.Get("offset"); text != "" {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return badRequest(fmt.Sprintf("error parsing offset: %v", err))
		}
		req.offset = v
	}
	switch q.Get("origin") {
	case "start", "":
	case "end":
		req.end = true
	default:
		return badRequest("origin must be start or end")
	}
	a, err := s.clientAlloc(req.alloc)
	if err != nil {
		return err
	}
	if err := logsReady(a, req.task); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if plain {
		w.Header().Set("Content-Type", "text/plain")
	}
	return s.streamLog(r.Context(), newFramer(w, plain), s.allocDir(req.alloc).logs(), req)
}

// logsReady refuses a task that is not there or has not started.
func logsReady(a *api.Allocation, task string) error {
	state := a.TaskStates[task]
	if state == nil {
		for _, tg := range a.Job.TaskGroups {
			for _, t := range tg.Tasks {
				if *tg.Name == a.TaskGroup && t.Name == task {
					return codedError{http.StatusNotFound, fmt.Sprintf("task %q not started yet. No logs available", task)}
				}
			}
		}
		return badRequest(fmt.Sprintf("unknown task name %q", task))
	}
	if state.StartedAt.IsZero() {
		return codedError{http.StatusNotFound, fmt.Sprintf("task %q not started yet. No logs available", task)}
	}
	return nil
}

// allocFile resolves a path below an allocation's directory. Secrets are not
// shown, and a link must not lead out.
func (s *Server) allocFile(id, path string) (string, error) {
	a, err := s.clientAlloc(id)
	if err != nil {
		return "", err
	}
	root := s.allocDir(id).root
	full, err := within(root, path)
	if err != nil {
		return "", fmt.Errorf("Path escapes the alloc directory") // Nomad's text
	}
	if secret(a, root, full) {
		return "", fmt.Errorf("Reading secret file prohibited: %s", path) // Nomad's text
	}
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", codedError{http.StatusNotFound, fmt.Sprintf("stat %s: no such file or directory", full)}
		}
		return "", err
	}
	realRoot, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(realRoot, real); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("Path escapes the alloc directory") // Nomad's text
	}
	if secret(a, realRoot, real) {
		return "", fmt.Errorf("Reading secret file prohibited: %s", path) // Nomad's text
	}
	return real, nil
}

// secret reports whether a path lies in the secrets of one of the tasks.
func secret(a *api.Allocation, root, path string) bool {
	for _, tg := range a.Job.TaskGroups {
		for _, t := range tg.Tasks {
			if rel, err := filepath.Rel(allocDir{root}.secrets(t.Name), path); err == nil && filepath.IsLocal(rel) {
				return true
			}
		}
	}
	return false
}

func fileInfo(st fs.FileInfo) *api.AllocFileInfo {
	info := &api.AllocFileInfo{
		Name: st.Name(), IsDir: st.IsDir(), Size: st.Size(), FileMode: st.Mode().String(), ModTime: st.ModTime(),
	}
	if !st.IsDir() {
		info.ContentType = mime.TypeByExtension(filepath.Ext(st.Name()))
	}
	return info
}

func (s *Server) listDir(r *http.Request) (any, error) {
	path, err := s.allocFile(splitIDPath(r, "ls"), pathParam(r, "/"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	infos := []*api.AllocFileInfo{}
	for _, e := range entries {
		if st, err := e.Info(); err == nil { // gone meanwhile otherwise
			infos = append(infos, fileInfo(st))
		}
	}
	return infos, nil
}

func pathParam(r *http.Request, missing string) string {
	if p := r.URL.Query().Get("path"); p != "" {
		return p
	}
	return missing
}

func (s *Server) statFile(r *http.Request) (any, error) {
	id, name := splitIDPath(r, "stat"), pathParam(r, "")
	if id == "" {
		return nil, badRequest("must provide a valid alloc id")
	}
	if name == "" {
		return nil, badRequest("must provide a file name")
	}
	path, err := s.allocFile(id, name)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return fileInfo(st), nil
}

// serveUntrusted answers cat and readat. A real agent writes the header of
// what a task may have written before it knows of an error, so that errors
// come with status 200; so they do here.
func (s *Server) serveUntrusted(w http.ResponseWriter, r *http.Request, action string) error {
	if err := s.serveFile(w, r, action); err != nil {
		return codedError{http.StatusOK, err.Error()}
	}
	return nil
}

// serveFile answers cat and readat with the bytes, stream with frames.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request, action string) error {
	q := r.URL.Query()
	id, name := splitIDPath(r, action), pathParam(r, "")
	if id == "" {
		return badRequest("must provide a valid alloc id")
	}
	if name == "" {
		return badRequest("must provide a file name")
	}
	offset, limit, follow, err := fileRange(q.Get, action)
	if err != nil {
		return err
	}
	origin := q.Get("origin")
	if action == "stream" && origin != "" && origin != "start" && origin != "end" {
		return badRequest("origin must be start or end")
	}
	path, err := s.allocFile(id, name)
	if err != nil {
		var coded codedError
		if errors.As(err, &coded) && strings.HasPrefix(coded.text, "stat ") {
			return badRequest(coded.text)
		}
		return err
	}
	st, err := os.Stat(path)
	if err != nil {
		return badRequest(err.Error())
	}
	if st.IsDir() {
		return badRequest(fmt.Sprintf("file %q is a directory", name))
	}
	if action == "stream" && origin == "end" {
		offset = max(st.Size()-offset, 0)
	}
	if offset < 0 {
		return badRequest("offset must not be negative")
	}
	plain := action != "stream"
	if plain {
		// What a task wrote must never be taken for a page of this origin.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	}
	return s.streamFile(r.Context(), newFramer(w, plain), path, name, offset, limit, follow)
}

func fileRange(get func(string) string, action string) (offset, limit int64, follow bool, err error) {
	if text := get("offset"); action == "readat" || action == "stream" && text != "" {
		if offset, err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, 0, false, fmt.Errorf("error parsing offset: %w", err)
		}
	}
	if text := get("limit"); action == "readat" && text != "" {
		if limit, err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, 0, false, fmt.Errorf("error parsing limit: %w", err)
		}
	}
	if action == "stream" {
		follow = true
		if text := get("follow"); text != "" {
			if follow, err = strconv.ParseBool(text); err != nil {
				return 0, 0, false, fmt.Errorf("failed to parse follow field to boolean: %w", err)
			}
		}
	}
	return offset, limit, follow, nil
}
