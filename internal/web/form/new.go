package form

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/form"
)

// firstPreset is the initial one: small enough to run anywhere in minutes.
const firstPreset = "debug-diloco"

// inputPreset is the source of a new form: a preset's name, or "template:name@version".
const inputPreset = "preset"

// New shows the form, filled from the query's source, with the name and the checkpoint to resume from that the query gives.
func (p *Pages) New(w http.ResponseWriter, r *http.Request) error {
	d, err := p.draftOfQuery(r)
	if err != nil {
		return err
	}
	if d.project, err = page.TargetProject(r, access.RunsSubmit, d.project); err != nil {
		return err
	}
	if d.typed["ckpt.resume"] == "" && r.URL.Query().Get("retry") != "" {
		if err := p.continueFrom(r.Context(), d); err != nil {
			return err
		}
	}
	for param, field := range map[string]string{InputName: InputName, "resume": "ckpt.resume"} {
		if text := r.URL.Query().Get(param); text != "" {
			d.typed[field] = page.Text(text, maxText)
			d.check()
		}
	}
	if page.IsFragment(r) { // keep the name out of the address
		w.Header().Set("HX-Replace-Url", "/runs/new?"+d.query(page.AskedProject(r)))
	}
	return p.renderForm(w, r, http.StatusOK, d, func(f *view.Form) { f.Key = rand.Text() }, d.untouched(nil))
}

// draftOfQuery fills the form from a preset, template, run, or the core's defaults.
func (p *Pages) draftOfQuery(r *http.Request) (*Draft, error) {
	q := r.URL.Query()
	field, ref := inputPreset, "preset:"+firstPreset
	switch {
	case q.Get("retry") != "":
		field, ref = "retry", "run:"+q.Get("retry")
	case q.Get("clone") != "":
		field, ref = "clone", "run:"+q.Get("clone")
	case q.Get("template") != "":
		field, ref = "template", "template:"+q.Get("template")
	case strings.HasPrefix(q.Get(inputPreset), "template:"):
		ref = q.Get(inputPreset)
	case q.Get(inputPreset) != "":
		ref = "preset:" + q.Get(inputPreset)
	case q.Has(inputPreset):
		return draftOf(trainconf.NewRequest()), nil
	}
	sub, err := p.Find(r.Context(), field, ref)
	if err != nil {
		return nil, err
	}
	d := draftOf(sub.Request)
	d.origin, d.preset, d.project = sub.Origin, sub.Preset, sub.Project
	return d, nil
}

// continueFrom has a run that is tried again with changes continue from its newest complete checkpoint, if it has one.
func (p *Pages) continueFrom(ctx context.Context, d *Draft) error {
	o, err := p.Control.Outlook(ctx, d.origin.Clone)
	if err != nil || len(o.Points) == 0 {
		return err
	}
	d.typed["ckpt.resume"] = o.Points[0].Folder
	if folder := o.Run.CheckpointPath; !strings.Contains(folder, string(o.Run.ID)) { // else the new one has its own
		d.typed["ckpt.path"] = strings.TrimRight(folder, "/") + "/" + trainconf.RunPlaceholder
	}
	d.check()
	return nil
}

// query encodes the form's source, and the project that was asked for.
func (d *Draft) query(project string) string {
	kind, name, _ := strings.Cut(d.ref(), ":")
	switch kind {
	case "":
		kind = inputPreset
	case "run":
		kind = "clone"
	}
	q := url.Values{kind: {name}}
	if project != "" {
		q.Set(page.ParamProject, d.project)
	}
	return q.Encode()
}

// renderForm renders the page.
func (p *Pages) renderForm(w http.ResponseWriter, r *http.Request, status int, d *Draft, adjust func(*view.Form), hidden map[string]bool) error {
	c := p.contextOf(r.Context(), d)
	own, err := p.Templates.Templates(r.Context(), run.AllProjects())
	if err != nil {
		return err
	}
	c.templates = own[:min(len(own), maxTemplateChoices)]
	c.models, c.sites = p.suggestions(r.Context())
	c.project = p.ProjectField(r, access.RunsSubmit, d.project)
	f := d.view(c, hidden)
	adjust(&f)
	if f.Shown, _, err = changed(r.Context(), f, ""); err != nil {
		return err
	}
	return p.Render(w, r, status, view.Page(p.Frame(r, "New run", "runs"), f))
}

const (
	// maxTemplateChoices bounds the templates offered.
	maxTemplateChoices = 500
	// suggestWait bounds the wait for the cluster's suggestions.
	suggestWait    = 200 * time.Millisecond
	maxSuggestions = 50
)

// suggestions are the cluster's GPU models and sites; none if unreachable.
func (p *Pages) suggestions(ctx context.Context) (models, sites []string) {
	ctx, cancel := context.WithTimeout(ctx, suggestWait)
	defer cancel()
	nodes, err := p.Control.Nodes(ctx)
	if err != nil {
		return nil, nil
	}
	for _, n := range nodes {
		sites = append(sites, n.Datacenter)
		for _, g := range n.GPUs {
			models = append(models, g.Model)
		}
	}
	for _, list := range []*[]string{&models, &sites} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		*list = (*list)[:min(len(*list), maxSuggestions)]
	}
	return models, sites
}

// Validate checks the form while it is edited, and returns the changed pieces.
func (p *Pages) Validate(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	d := Read(r.PostForm)
	hidden := map[string]bool{}
	if r.PostForm.Get("submitted") != "1" {
		touched := map[string]bool{}
		for name := range strings.SplitSeq(r.PostForm.Get("touched"), ",") {
			touched[name] = true
		}
		hidden = d.untouched(touched)
	}
	f := d.view(p.contextOf(r.Context(), d), hidden)
	shown, answer, err := changed(r.Context(), f, r.PostForm.Get("shown"))
	if err != nil {
		return err
	}
	if err := view.Shown(shown, true).Render(r.Context(), answer); err != nil {
		return fmt.Errorf("render the state of the form: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = answer.WriteTo(w) // the client has gone
	return nil
}

// hashLen is the characters per piece in the hidden input.
const hashLen = 8

// changed renders the pieces whose hash differs from the page's; all if those are unreadable.
func changed(ctx context.Context, f view.Form, shown string) (now string, answer *bytes.Buffer, err error) {
	var hashes strings.Builder
	answer = &bytes.Buffer{}
	var piece bytes.Buffer
	for i, c := range f.Pieces() {
		piece.Reset()
		if err := c.Render(ctx, &piece); err != nil {
			return "", nil, fmt.Errorf("render the form: %w", err)
		}
		h := fnv.New32a()
		_, _ = h.Write(piece.Bytes()) // never fails
		hash := fmt.Sprintf("%08x", h.Sum32())
		hashes.WriteString(hash)
		if at := i * hashLen; at+hashLen > len(shown) || shown[at:at+hashLen] != hash {
			_, _ = piece.WriteTo(answer) // never fails
		}
	}
	return hashes.String(), answer, nil
}

// untouched lists inputs without visible errors yet: empty and never touched. A value made invalid by another one is
// shown.
func (d *Draft) untouched(touched map[string]bool) map[string]bool {
	hidden := map[string]bool{}
	for _, e := range d.errs {
		if d.typed[e.Field] == "" && !touched[e.Field] {
			hidden[e.Field] = true
		}
	}
	if touched[inputDiLoCo] {
		delete(hidden, innerSteps)
	}
	return hidden
}

// Create submits the form, or shows it again with its errors.
func (p *Pages) Create(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	d := Read(r.PostForm)
	if len(d.errs) == 0 {
		made, err := p.Control.Submit(r.Context(), d.Submission(page.Text(r.PostForm.Get("key"), 64)))
		var fields run.FieldErrors
		switch {
		case err == nil:
			return page.Redirect(w, r, "/runs/"+string(made.ID))
		case errors.As(err, &fields):
			for _, e := range fields {
				if e.Field == page.ParamProject { // the configuration was checked before, and its field of that name
					e.Field = page.InputProject
				}
				d.errs = append(d.errs, e)
			}
		default:
			return err
		}
	}
	return p.refuse(w, r, d, "Run not started")
}

// Refuse shows the form with its errors instead of a page made from it.
func (p *Pages) Refuse(w http.ResponseWriter, r *http.Request, d *Draft) error {
	return p.refuse(w, r, d, "Nothing saved: the form has mistakes")
}

func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, d *Draft, said string) error {
	return p.renderForm(w, r, http.StatusUnprocessableEntity, d, func(f *view.Form) {
		f.Key, f.Submitted, f.Refused = page.Text(r.PostForm.Get("key"), 64), true, said
	}, nil)
}
