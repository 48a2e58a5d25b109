package nomad

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestVariablesAreListedAndNeverRead(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/vars", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("per_page") != "1" || q.Get("namespace") == "denied" {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		answerJSON(w, []api.VariableMetadata{{Namespace: q.Get("namespace"), Path: map[string]string{"cotrain/hub": "cotrain/hub", "cotrain/hu": "cotrain/hub"}[q.Get("prefix")]}})
	})
	if err := c.FindVariable(t.Context(), "team", "cotrain/hub", "token"); err != nil {
		t.Error(err)
	}
	if err := c.FindVariable(t.Context(), "team", "cotrain/hu", "token"); !errors.Is(err, fault.ErrNotFound) || !strings.Contains(fault.Of(err).Fix, "nomad var put -namespace=team cotrain/hu token=...") {
		t.Errorf("what another begins with: %v", err)
	}
	if err := c.FindVariable(t.Context(), "denied", "cotrain/hub", "token"); !errors.Is(err, ErrDenied) && !errors.Is(err, fault.ErrNamespace) {
		t.Errorf("denied: %v", err)
	}
}

// variables is Nomad with one variable, as tokens of several namespaces see it.
type variables struct {
	t      *testing.T
	stored api.Variable
	races  int // how often somebody else writes before the console does
}

func (v *variables) get(w http.ResponseWriter, r *http.Request) {
	switch namespace := r.URL.Query().Get("namespace"); {
	case namespace == "writeonly" || namespace == "denied":
		http.Error(w, "Permission denied", http.StatusForbidden)
	case v.stored.ModifyIndex == 0:
		http.Error(w, "variable not found", http.StatusNotFound)
	default:
		answerJSON(w, v.stored)
	}
}

func (v *variables) put(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Query().Get("namespace") {
	case "denied":
		http.Error(w, "Permission denied", http.StatusForbidden)
		return
	case "echo":
		http.Error(w, "cannot take geheim", http.StatusBadRequest)
		return
	case "full":
		http.Error(w, "items are limited to 64KiB in total size", http.StatusRequestEntityTooLarge)
		return
	}
	if v.races > 0 {
		v.races--
		v.stored.Items["theirs"] = strconv.Itoa(v.races)
		v.stored.ModifyIndex++
	}
	if r.URL.Query().Get("cas") != strconv.FormatUint(v.stored.ModifyIndex, 10) {
		w.WriteHeader(http.StatusConflict)
		answerJSON(w, v.stored)
		return
	}
	index := v.stored.ModifyIndex
	v.stored = api.Variable{}
	if err := json.NewDecoder(r.Body).Decode(&v.stored); err != nil {
		v.t.Error(err)
	}
	v.stored.ModifyIndex = index + 1
}

func newVariables(t *testing.T) (*variables, *Client) {
	t.Helper()
	f, c := newFake(t)
	v := &variables{t: t}
	f.HandleFunc("GET /v1/var/{path...}", v.get)
	f.HandleFunc("PUT /v1/var/{path...}", v.put)
	return v, c
}

func TestAValueIsPutBesideTheOthersOfItsVariable(t *testing.T) {
	t.Parallel()
	v, c := newVariables(t)
	for field, value := range map[string]string{"token": "geheim", "other": "noch eins"} {
		if err := c.PutVariable(t.Context(), "", "cotrain/hub", field, value); err != nil {
			t.Fatal(err)
		}
	}
	v.races = putTries - 1
	if err := c.PutVariable(t.Context(), "", "cotrain/hub", "token", "neu"); err != nil {
		t.Fatal(err)
	}
	if want := (api.VariableItems{"token": "neu", "other": "noch eins", "theirs": "0"}); v.stored.Path != "cotrain/hub" || !maps.Equal(v.stored.Items, want) {
		t.Errorf("stored is %+v", v.stored)
	}
	v.races = putTries
	if err := c.PutVariable(t.Context(), "", "cotrain/hub", "token", "geheim"); !errors.Is(err, fault.ErrNotPossible) || !strings.Contains(fault.Of(err).What, "Somebody else is writing") || strings.Contains(err.Error(), "eins") {
		t.Errorf("written by somebody else all the time: %v", err)
	}
}

func TestAVariableThatTheConsoleMayNotReadIsNotReplaced(t *testing.T) {
	t.Parallel()
	v, c := newVariables(t)
	if err := c.PutVariable(t.Context(), "writeonly", "cotrain/hub", "token", "geheim"); err != nil || v.stored.Items["token"] != "geheim" {
		t.Errorf("a new one: %+v, %v", v.stored, err)
	}
	err := c.PutVariable(t.Context(), "writeonly", "cotrain/hub", "other", "neu")
	f := fault.Of(err)
	if !errors.Is(err, fault.ErrNotPossible) || len(v.stored.Items) != 1 || strings.Contains(err.Error()+f.Text(), "geheim") ||
		!strings.Contains(f.Fix, "nomad var get -namespace=writeonly -out=json cotrain/hub | nomad var put -namespace=writeonly -in=json - other=...") {
		t.Errorf("one that is there: %v, and stored is %+v", err, v.stored)
	}
}

func TestAValueIsInNoMessage(t *testing.T) {
	t.Parallel()
	_, c := newVariables(t)
	for namespace, says := range map[string]string{"denied": "does not let the console write", "echo": "does not take", "full": "64KiB"} {
		err := c.PutVariable(t.Context(), namespace, "cotrain/hub", "token", "geheim")
		f := fault.Of(err)
		if !errors.Is(err, fault.ErrNotPossible) || !strings.Contains(f.What, says) || strings.Contains(err.Error()+f.Text(), "geheim") {
			t.Errorf("%s: %v", namespace, err)
		}
		if namespace == "denied" && !strings.Contains(f.Fix, "nomad var put -namespace=denied cotrain/hub token=...") {
			t.Errorf("the remedy is %q", f.Fix)
		}
	}
}
