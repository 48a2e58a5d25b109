package nomad

import (
	"encoding/json"
	"errors"
	"net/http"
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

func TestAValueIsPutAndInNoMessage(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	var got api.Variable
	f.HandleFunc("PUT /v1/var/{path...}", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("namespace") {
		case "denied":
			http.Error(w, "Permission denied", http.StatusForbidden)
		case "echo":
			http.Error(w, "cannot take geheim", http.StatusBadRequest)
		case "full":
			http.Error(w, "items are limited to 64KiB in total size", http.StatusRequestEntityTooLarge)
		default:
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Error(err)
			}
			answerJSON(w, got)
		}
	})
	if err := c.PutVariable(t.Context(), "", "cotrain/hub", "token", "geheim"); err != nil || got.Path != "cotrain/hub" || got.Items["token"] != "geheim" || len(got.Items) != 1 {
		t.Errorf("put %+v, %v", got, err)
	}
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
