package localnomad_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/localnomad"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/conformance"
)

// TestTheEmbeddedAgentConforms runs the suite that also runs against a real Nomad agent.
func TestTheEmbeddedAgentConforms(t *testing.T) {
	s, err := localnomad.New(localnomad.Options{DataDir: t.TempDir(), Nodes: 4, GPUsPerNode: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &http.Client{Transport: &http.Transport{DialContext: s.DialContext, MaxIdleConnsPerHost: 32}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		h.CloseIdleConnections()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	conformance.Run(t, conformance.Target{
		Config: nomad.Config{HTTPClient: h}, ShellDriver: "raw_exec", Device: "sim/gpu/" + localnomad.DefaultGPUModel, Devices: 2,
	})
}
