package nomad

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/run"
)

func TestNamesInConsulAreReadOncePerVersionOfANode(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	var index, reads atomic.Uint64
	index.Store(7)
	f.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, []api.NodeListStub{{ID: "1", Name: "a", Address: "10.0.0.1", ModifyIndex: index.Load()}, {ID: "2", Name: "b", Address: "10.0.0.2", ModifyIndex: 5}})
	})
	f.HandleFunc("GET /v1/node/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "2" {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		reads.Add(1)
		answerJSON(w, api.Node{ID: "1", HTTPAddr: "10.0.0.1:4646", Attributes: map[string]string{"unique.consul.name": "gpu-1", "consul.datacenter": "ams"}})
	})
	if nodes, err := c.Nodes(t.Context()); err != nil || nodes[0].ConsulName != (run.ConsulName{}) || reads.Load() != 0 {
		t.Errorf("without Consul: %+v, %v", nodes, err)
	}
	c.cfg.ConsulNames = true
	want := run.ConsulName{Name: "gpu-1", Datacenter: "ams", Address: "10.0.0.1"}
	for range 3 {
		nodes, err := c.Nodes(t.Context())
		if err != nil || nodes[0].ConsulName != want || nodes[1].ConsulName != (run.ConsulName{Address: "10.0.0.2"}) {
			t.Fatalf("%+v, %v", nodes, err)
		}
	}
	if reads.Load() != 1 {
		t.Errorf("it was read %d times", reads.Load())
	}
	index.Store(8)
	if _, err := c.Nodes(t.Context()); err != nil || reads.Load() != 2 {
		t.Errorf("after a change: %d, %v", reads.Load(), err)
	}
}
