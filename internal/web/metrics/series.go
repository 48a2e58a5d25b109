package metrics

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Series answers a chart's query of a run with the JSON of [chart.Answer].
func (p *Pages) Series(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
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
	return unlessKnown(w, r, answer.AppendJSON(nil))
}

// Marks answers with what happened to a run: {"run":"r-…","marks":[…]} of [chart.Mark].
func (p *Pages) Marks(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	marks, err := chart.New(p.Store).Marks(r.Context(), found)
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Run   run.ID       `json:"run"`
		Marks []chart.Mark `json:"marks"`
	}{found.ID, append([]chart.Mark{}, marks...)})
	if err != nil {
		return fmt.Errorf("encode marks: %w", err)
	}
	return unlessKnown(w, r, body)
}

func (p *Pages) run(r *http.Request) (run.Run, error) {
	id, err := page.RunID(r)
	if err != nil {
		return run.Run{}, err
	}
	return p.Store.Run(r.Context(), id)
}

// unlessKnown answers with JSON, or tells the browser that what it has is still right.
func unlessKnown(w http.ResponseWriter, r *http.Request, body []byte) error {
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
