package localnomad

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// maxVarSize is Nomad's bound of a variable's items in bytes.
const maxVarSize = 65536

func varMeta(v *api.Variable) *api.VariableMetadata {
	return &api.VariableMetadata{
		Namespace: v.Namespace, Path: v.Path, CreateIndex: v.CreateIndex, ModifyIndex: v.ModifyIndex,
		CreateTime: v.CreateTime, ModifyTime: v.ModifyTime,
	}
}

func (s *Server) handleVars(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed()
	}
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableVars}, func() (any, uint64) {
		out := []*api.VariableMetadata{}
		if q.visible() {
			for _, path := range sortedKeys(s.st.vars, q.prefix) {
				out = append(out, varMeta(s.st.vars[path]))
			}
		}
		return out, s.st.tableIndex(tableVars)
	})
	vars, err := list(w, q, obj.([]*api.VariableMetadata), func(v *api.VariableMetadata) string { return v.Path })
	if err != nil {
		return nil, err
	}
	setMeta(w, index)
	return vars, nil
}

func (s *Server) handleVar(w http.ResponseWriter, r *http.Request) (any, error) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/var/")
	if path == "" {
		return nil, badRequest("missing variable path")
	}
	switch {
	case r.Method == http.MethodGet:
		return s.getVar(w, r, path)
	case isWrite(r):
		return s.putVar(w, r, path)
	case r.Method == http.MethodDelete:
		return s.deleteVar(w, r, path)
	}
	return nil, methodNotAllowed()
}

func (s *Server) getVar(w http.ResponseWriter, r *http.Request, path string) (any, error) {
	q, err := parseQuery(r)
	if err != nil {
		return nil, err
	}
	obj, index := s.block(r.Context(), q, []table{tableVars}, func() (any, uint64) {
		if v := s.st.vars[path]; v != nil && q.visible() {
			return v, v.ModifyIndex
		}
		return nil, s.st.tableIndex(tableVars)
	})
	setMeta(w, index)
	if obj == nil {
		return nil, codedError{http.StatusNotFound, "variable not found"}
	}
	return obj, nil
}

// checkCAS compares the cas parameter with what is stored. The lock is held.
func (s *Server) checkCAS(r *http.Request, path string) (conflict *api.Variable, err error) {
	text := r.URL.Query().Get("cas")
	if text == "" {
		return nil, nil
	}
	want, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return nil, badRequest("can not parse cas: " + err.Error())
	}
	old := s.st.vars[path]
	if old == nil && want != 0 {
		return &api.Variable{Namespace: defaultNamespace, Path: path, Items: api.VariableItems{}}, nil
	}
	if old != nil && want != old.ModifyIndex {
		return old, nil
	}
	return nil, nil
}

func (s *Server) putVar(w http.ResponseWriter, r *http.Request, path string) (any, error) {
	var v api.Variable
	if err := decodeBody(r, &v); err != nil {
		return nil, err
	}
	size := 0
	for k, item := range v.Items {
		size += len(k) + len(item)
	}
	switch {
	case len(v.Items) == 0:
		return nil, badRequest("variable missing required Items object")
	case size > maxVarSize:
		return nil, badRequest("items are limited to 64KiB in total size")
	}
	v.Path, v.Namespace, v.Lock = path, defaultNamespace, nil
	var conflict *api.Variable
	index, err := s.st.update(kindOfVar, s.now().UnixNano(), func(tx *txn) error {
		var err error
		if conflict, err = s.checkCAS(r, path); err != nil || conflict != nil {
			return err
		}
		tx.putVar(&v)
		return nil
	})
	if err != nil {
		return nil, err
	}
	setIndex(w, index)
	if conflict != nil {
		return s.conflict(w, conflict), nil
	}
	return &v, nil
}

// conflict answers 409 with what is stored.
func (s *Server) conflict(w http.ResponseWriter, v *api.Variable) any {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8") // Nomad's quirk
	w.WriteHeader(http.StatusConflict)
	_, _ = w.Write([]byte(mustJSON(v))) // the client may be gone: nobody to tell
	return nil
}

func (s *Server) deleteVar(w http.ResponseWriter, r *http.Request, path string) (any, error) {
	var conflict *api.Variable
	index, err := s.st.update(kindOfVar, s.now().UnixNano(), func(tx *txn) error {
		var err error
		if conflict, err = s.checkCAS(r, path); err != nil || conflict != nil {
			return err
		}
		if s.st.vars[path] != nil {
			tx.deleteVar(path)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	setIndex(w, index)
	if conflict != nil {
		return s.conflict(w, conflict), nil
	}
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
