package httpapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// maxVarSize is Nomad's bound of a variable's items in bytes.
const maxVarSize = 65536

func (a *API) listVars(w http.ResponseWriter, r *http.Request, _ string) (any, error) {
	return list(a, w, r, state.Vars, func(t *state.Tables, q query) []*api.Variable { return matching(t.Vars, q) }, (*api.Variable).Metadata)
}

func (a *API) putVar(w http.ResponseWriter, r *http.Request, path string) (any, error) {
	var v api.Variable
	if err := decodeBody(r, &v); err != nil {
		return nil, err
	}
	size := 0
	for k, item := range v.Items {
		size += len(k) + len(item)
	}
	switch {
	case path == "":
		return nil, badRequest("missing variable path")
	case len(v.Items) == 0:
		return nil, badRequest("variable missing required Items object")
	case size > maxVarSize:
		return nil, badRequest("items are limited to 64KiB in total size")
	}
	check, checked := r.URL.Query()["cas"]
	cas := uint64(0)
	if checked {
		var err error
		if cas, err = strconv.ParseUint(check[0], 10, 64); err != nil {
			return nil, badRequest("can not parse cas: %v", err)
		}
	}
	v.Path, v.Namespace, v.Lock = path, api.DefaultNamespace, nil
	index, err := a.Store.Update(state.VarUpdated, func(tx *state.Tx) error {
		there := cmp.Or(tx.Vars[path], &api.Variable{Namespace: v.Namespace, Path: path})
		if checked && there.ModifyIndex != cas {
			return conflict(there)
		}
		return tx.PutVar(&v)
	})
	setIndex(w, index)
	return &v, err
}

// conflict tells how a variable is that was to be another version, without its items.
func conflict(there *api.Variable) error {
	text, err := json.Marshal(there.Metadata())
	if err != nil {
		return err
	}
	return codedError{http.StatusConflict, string(text)}
}

func (a *API) getVar(w http.ResponseWriter, _ *http.Request, path string) (any, error) {
	var v *api.Variable
	index := uint64(0)
	a.Store.View(func(t *state.Tables) { v, index = t.Vars[path], t.Index(state.Vars) })
	setIndex(w, index)
	if v == nil {
		return nil, notFound("variable not found")
	}
	return v, nil
}

func (a *API) deleteVar(w http.ResponseWriter, _ *http.Request, path string) (any, error) {
	index, err := a.Store.Update(state.VarUpdated, func(tx *state.Tx) error {
		tx.DeleteVar(path)
		return nil
	})
	if err != nil {
		return nil, err
	}
	setIndex(w, index)
	w.WriteHeader(http.StatusNoContent)
	return nil, nil
}
