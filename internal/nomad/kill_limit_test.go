package nomad

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

func TestTheShortestKillLimitOfNodesCounts(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	var reads atomic.Int32
	meta := map[string]string{"slow": "5m", "short": "30s", "odd": "soon", "none": ""}
	f.HandleFunc("GET /v1/node/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		said, known := meta[id]
		if !known {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		reads.Add(1)
		answerJSON(w, api.Node{ID: id, Name: "gpu-" + id, Meta: map[string]string{KillLimitMeta: said}})
	})
	for range 2 { // the second time they are known
		if limit, node := c.KillLimit(t.Context(), []string{"slow", "odd", "short", "none", "hidden"}); limit != 30*time.Second || node != "gpu-short" {
			t.Errorf("%v on %q", limit, node)
		}
	}
	if reads.Load() != 4 {
		t.Errorf("%d reads", reads.Load())
	}
	if limit, node := c.KillLimit(t.Context(), []string{"odd", "none", "hidden"}); limit != 0 || node != "" {
		t.Errorf("%v on %q of nodes that do not say", limit, node)
	}
}
