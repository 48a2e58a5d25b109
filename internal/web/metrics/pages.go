// Package metrics serves the curves of runs.
package metrics

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Store reads runs and their curves.
type Store interface {
	// Run returns a run, or an error that matches [fault.ErrNotFound].
	Run(ctx context.Context, id run.ID) (run.Run, error)
	chart.Store
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Store Store
}

// Series answers a chart's query of a run with the JSON of [chart.Answer].
func (p *Pages) Series(w http.ResponseWriter, r *http.Request) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	found, err := p.Store.Run(r.Context(), id)
	if err != nil {
		return err
	}
	q, err := chart.ParseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	answer, err := chart.New(p.Store).Answer(r.Context(), found, q)
	if err != nil {
		return err
	}
	body := answer.AppendJSON(nil)
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone
	return nil
}
