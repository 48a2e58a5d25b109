package admin

import (
	"context"
	"net/http"
	"strconv"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// CauseRules is the site's rules of diagnosis.
type CauseRules interface {
	CauseRules(ctx context.Context) (run.CauseRules, error)
	// SaveCauseRules has rules take effect over the revision that their writer has read.
	SaveCauseRules(ctx context.Context, text string, revision int64) (run.CauseRules, error)
	// TryCauseRules says what rules would have said of the newest failures.
	TryCauseRules(ctx context.Context, text string, limit int) (run.CauseTrials, error)
}

// tried is how many failures the page tries rules on, unless told otherwise.
const tried = 20

// CauseRules shows the site's rules.
func (p *Pages) CauseRules(w http.ResponseWriter, r *http.Request) error {
	stored, err := p.Causes.CauseRules(r.Context())
	if err != nil {
		return err
	}
	return p.causeRules(w, r, stored, draftRules{text: stored.Text, revision: stored.Revision, limit: tried}, nil, message{})
}

// draftRules is what the form holds.
type draftRules struct {
	text     string
	revision int64
	limit    int64
}

func readRules(r *http.Request) (d draftRules, err error) {
	if err := page.ReadForm(r); err != nil {
		return d, err
	}
	d.text = r.PostForm.Get("text")
	if d.revision, err = strconv.ParseInt(r.PostForm.Get("revision"), 10, 64); err != nil {
		return d, page.ErrBadForm.Because(err)
	}
	if d.limit, err = strconv.ParseInt(r.PostForm.Get("limit"), 10, 32); err != nil {
		d.limit = tried
	}
	return d, nil
}

// TryCauseRules shows what the rules of the form would have said; nothing is changed.
func (p *Pages) TryCauseRules(w http.ResponseWriter, r *http.Request) error {
	d, err := readRules(r)
	if err != nil {
		return err
	}
	stored, err := p.Causes.CauseRules(r.Context())
	if err != nil {
		return err
	}
	trials, err := p.Causes.TryCauseRules(r.Context(), d.text, int(d.limit))
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.causeRules(w, r, stored, d, nil, m)
	}
	return p.causeRules(w, r, stored, d, &trials, m)
}

// SaveCauseRules has the rules of the form take effect.
func (p *Pages) SaveCauseRules(w http.ResponseWriter, r *http.Request) error {
	d, err := readRules(r)
	if err != nil {
		return err
	}
	_, err = p.Causes.SaveCauseRules(r.Context(), d.text, d.revision)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		stored, err := p.Causes.CauseRules(r.Context())
		if err != nil {
			return err
		}
		return p.causeRules(w, r, stored, d, nil, m)
	}
	return done(w, r, view.CausesPath, "rules")
}

func (p *Pages) causeRules(w http.ResponseWriter, r *http.Request, stored run.CauseRules, d draftRules, trials *run.CauseTrials, m message) error {
	field := ui.Field{Name: "text", Label: "TOML", Kind: ui.KindLines, Value: d.text, Help: "A rule with the ID of a built-in one takes its place; off = true turns that off. Regular expressions are RE2.", Hint: view.ExampleRule}
	limit := ui.Field{Name: "limit", Label: "Failures to try on", Kind: ui.KindSelect, Value: strconv.FormatInt(d.limit, 10)}
	for _, n := range []string{"10", "20", "50", "100"} {
		limit.Choices = append(limit.Choices, ui.Choice{Value: n, Label: "newest " + n})
	}
	v := view.CauseRules{Stored: stored, Revision: d.revision, Form: m.on(view.Form{Fields: []ui.Field{field, limit}}), Trials: trials, Notice: notice(r), Now: p.Now()}
	return p.Render(w, r, m.status(), view.CausesPage(p.frame(r, "Causes of failures", view.CausesPath), v))
}
