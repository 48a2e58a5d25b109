package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// BenchmarkDispatch measures dispatches of a job that cannot be placed, so that nothing but the dispatch takes time:
// the bare call, and the client's with the check that the child exists.
func BenchmarkDispatch(b *testing.B, target Target) {
	cfg := target.Config
	cfg.Job = nomad.JobSettings{Driver: target.ShellDriver, Command: payloadIsScript, Datacenters: []string{"nowhere"}}
	client, err := nomad.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	shape := run.Shape{Nodes: 1, CPU: 10, Memory: 11}
	parent, err := client.EnsureParent(b.Context(), shape)
	if err != nil {
		b.Fatal(err)
	}
	var children []string
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		for _, id := range append(children, parent) {
			if err := client.Purge(ctx, id); err != nil {
				b.Error(err)
			}
		}
		client.Close()
	})
	payload := bytes.Repeat([]byte("# a configuration of a usual length\n"), 60)
	next := 0
	attempt := func() nomad.Dispatch {
		next++
		id := run.NewID(time.Now())
		return nomad.Dispatch{Parent: parent, Token: fmt.Sprintf("%s/%d", id, next), RunID: id, Attempt: next, Payload: payload}
	}
	b.Run("raw", func(b *testing.B) {
		h, done := target.plain()
		defer done()
		for b.Loop() {
			id, err := rawDispatch(b.Context(), h, target.base(), cfg.Token, attempt())
			if err != nil {
				b.Fatal(err)
			}
			children = append(children, id)
		}
	})
	b.Run("verified", func(b *testing.B) {
		for b.Loop() {
			_, id, err := client.DispatchRun(b.Context(), shape, attempt())
			if err != nil {
				b.Fatal(err)
			}
			children = append(children, id)
		}
	})
}

// rawDispatch is the call alone, by net/http.
func rawDispatch(ctx context.Context, h *http.Client, base, token string, d nomad.Dispatch) (string, error) {
	body, err := json.Marshal(map[string]any{"Payload": d.Payload, "Meta": map[string]string{"run_id": string(d.RunID), "attempt": "1"}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, base+"/v1/job/"+d.Parent+"/dispatch?idempotency_token="+d.Token, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Nomad-Token", token)
	resp, err := h.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // read-only
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var out struct{ DispatchedJobID string }
	if err := json.Unmarshal(text, &out); err != nil || out.DispatchedJobID == "" {
		return "", fmt.Errorf("dispatch answers %d %.200q: %w", resp.StatusCode, text, err)
	}
	return out.DispatchedJobID, nil
}
