package search

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/search"
	"github.com/cotrain/cotrain/views/ui"
)

const (
	maxText = 200 // bytes of what is searched for
	each    = 6   // hits of one kind
	// nodesWithin is how long Nomad may take: the rest of the answer does not wait for it.
	nodesWithin = 30 * time.Millisecond
)

// Runs finds runs by name, ID, tag and description.
type Runs interface {
	Runs(ctx context.Context, f run.RunFilter) ([]run.Run, error)
}

// Control reads what else is searched.
type Control interface {
	Sweep(ctx context.Context, id run.SweepID) (run.Sweep, error)
	Templates(ctx context.Context, in run.Projects) ([]run.Template, error)
	Nodes(ctx context.Context) ([]run.Node, error)
}

// Documents finds sections of the documents.
type Documents interface {
	Find(text string, limit int) []help.Hit
}

// Accounts knows users and projects.
type Accounts interface {
	// Projects are those that who asks may see.
	Projects(ctx context.Context) ([]access.Project, error)
	// Users is for who manages them.
	Users(ctx context.Context) ([]access.User, error)
}

// Pages are the section's handlers.
type Pages struct {
	*page.Site
	Runs      Runs
	Control   Control
	Documents Documents
	Accounts  Accounts // nil without log-in
}

// query is what is searched for, and by whom.
type query struct {
	ctx   context.Context
	text  string
	words []string // in lower case
	may   func(access.Right) bool
}

// matches reports whether every word is part of one of the texts.
func (q query) matches(texts ...string) bool {
	all := strings.ToLower(strings.Join(texts, "\n"))
	for _, w := range q.words {
		if !strings.Contains(all, w) {
			return false
		}
	}
	return true
}

// Search answers with a page, or with the results alone.
func (p *Pages) Search(w http.ResponseWriter, r *http.Request) error {
	text := page.Text(r.URL.Query().Get("q"), maxText)
	found, err := p.find(r.Context(), text)
	if err != nil {
		return err
	}
	if page.IsFragment(r) {
		return p.Render(w, r, http.StatusOK, view.Results(found))
	}
	return p.Render(w, r, http.StatusOK, view.SearchPage(p.Frame(r, "Search", ui.NavSearch), found))
}

// find asks every source. Without a text these are the newest runs, and the pages.
func (p *Pages) find(ctx context.Context, text string) (view.Found, error) {
	who := access.From(ctx)
	q := query{ctx: ctx, text: text, words: strings.Fields(strings.ToLower(text)), may: who.MayAnywhere}
	found := view.Found{Text: text, Now: p.Now(), Pages: p.pages(q)}
	if text != "" {
		found.Settings, found.Help = settings(q), p.help(q)
	}
	var both errgroup.Group
	both.Go(func() error { found.Nodes = p.nodes(q); return nil })
	both.Go(func() (err error) {
		if found.Runs, found.Sweeps, err = p.runs(q); err != nil {
			return err
		}
		if found.Templates, err = p.templates(q); err != nil {
			return err
		}
		found.Projects, found.Users, err = p.accounts(q)
		return err
	})
	return found, both.Wait()
}

// runs finds runs, and the sweeps that they are of: the runs of a sweep begin with its name.
func (p *Pages) runs(q query) (runs []run.Run, sweeps []run.Sweep, err error) {
	if !q.may(access.RunsRead) {
		return nil, nil, nil
	}
	if runs, err = p.Runs.Runs(q.ctx, run.RunFilter{Projects: run.AllProjects(), Text: q.text, Folded: true, Limit: each}); err != nil {
		return nil, nil, err
	}
	if q.text == "" {
		return runs, nil, nil
	}
	var ids []run.SweepID
	if id, err := run.ParseSweepID(q.text); err == nil {
		ids = append(ids, id)
	}
	for _, r := range runs {
		if r.Origin.Sweep != "" { // one run of each
			ids = append(ids, r.Origin.Sweep)
		}
	}
	for _, id := range ids {
		sw, err := p.Control.Sweep(q.ctx, id)
		if errors.Is(err, fault.ErrNotFound) { // deleted meanwhile
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		sweeps = append(sweeps, sw)
	}
	return runs, sweeps, nil
}

// nodes finds nodes by name and ID; none if Nomad takes long.
func (p *Pages) nodes(q query) (out []run.Node) {
	if q.text == "" || !q.may(access.ClusterRead) {
		return nil
	}
	ctx, cancel := context.WithTimeout(q.ctx, nodesWithin)
	defer cancel()
	all, err := p.Control.Nodes(ctx)
	if err != nil {
		p.Logger.DebugContext(ctx, "search nodes", "err", err) // the banner says what is wrong with Nomad
		return nil
	}
	for _, n := range all {
		if len(out) < each && q.matches(n.Name, n.ID) {
			out = append(out, n)
		}
	}
	return out
}
