package metrics

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

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
	tag, body, err := p.Cache.Answer(r.Context(), p.Store, found, q, func(tag string) bool { return knows(r, tag) })
	if err != nil {
		return err
	}
	send(w, tag, body)
	return nil
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
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:18]) + `"`
	if knows(r, tag) {
		body = nil
	}
	send(w, tag, body)
	return nil
}

func (p *Pages) run(r *http.Request) (run.Run, error) {
	id, err := page.RunID(r)
	if err != nil {
		return run.Run{}, err
	}
	return p.Store.Run(r.Context(), id)
}

// knows reports whether the browser has the answer with a tag.
func knows(r *http.Request, tag string) bool {
	for _, known := range strings.Split(r.Header.Get("If-None-Match"), ",") {
		if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
			return true
		}
	}
	return false
}

// send answers with JSON, or without a body tells the browser that what it has is still right. It is to ask each time: whether it may
// still see the run, and whether the run is the same.
func send(w http.ResponseWriter, tag string, body []byte) {
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if body == nil {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone
}
