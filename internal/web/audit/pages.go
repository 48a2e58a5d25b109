// Package audit serves the page of the audit log.
package audit

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/audit"
)

// Log is the audit log.
type Log interface {
	Search(ctx context.Context, f audit.Filter) (audit.Page, error)
	Verified() audit.Verified
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Log Log
}

const (
	// shown is how many entries a page has.
	shown    = 50
	maxValue = 512 // bytes of a filter
)

// List shows the entries that match, of what whoever asks may see.
func (p *Pages) List(w http.ResponseWriter, r *http.Request) error {
	form := r.URL.Query()
	text := func(name string) string { return page.Text(form.Get(name), maxValue) }
	q := view.Query{
		Text: text("text"), Actor: text("actor"), Action: text("action"), Project: text("project"), Subject: text("subject"), Address: text("address"), Outcome: text("outcome"),
		Since: text("since"), Until: text("until"), Before: text("before"),
	}
	f := audit.Filter{Text: q.Text, Actor: q.Actor, Action: q.Action, Subject: q.Subject, Address: q.Address, Outcome: audit.Outcome(q.Outcome), Limit: shown}
	all, projects := access.From(r.Context()).Projects(access.AuditRead)
	f = f.Within(all, projects, q.Project)
	var err error
	if f.Before, err = page.Number(r, "before", 0, 1, math.MaxInt64); err != nil {
		return err
	}
	if f.Since, err = day("since", q.Since); err != nil {
		return err
	}
	if f.Until, err = day("until", q.Until); err != nil {
		return err
	}
	if !f.Until.IsZero() {
		f.Until = f.Until.AddDate(0, 0, 1) // that day too
	}
	found, err := p.Log.Search(r.Context(), f)
	if err != nil {
		return err
	}
	return p.Render(w, r, http.StatusOK, view.ListPage(p.Frame(r, "Audit log", "audit"), view.List{Query: q, Page: found, Verified: p.Log.Verified(), Now: p.Now()}))
}

func day(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, run.FieldErrors{{Field: field, Value: page.Text(text, 40), Rule: "is not a day", Fix: "write it as 2026-01-31"}}
	}
	return t, nil
}
