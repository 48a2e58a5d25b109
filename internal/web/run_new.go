package web

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// firstPreset is what the form begins with: small enough to end in minutes anywhere.
const firstPreset = "debug-diloco"

// inputPreset chooses what a new form is filled from: the name of a preset, or "template:name@version".
const inputPreset = "preset"

// handleRunNew shows the form, filled from what the query names; the name that was typed stays.
func (s *Server) handleRunNew(w http.ResponseWriter, r *http.Request) error {
	d, err := s.draftOfQuery(r)
	if err != nil {
		return err
	}
	if name := r.URL.Query().Get(inputName); name != "" {
		d.typed[inputName] = text(name, maxText)
		d.check()
	}
	if r.Header.Get("HX-Request") == "true" { // the name is not the address's business
		w.Header().Set("HX-Replace-Url", "/runs/new?"+d.query())
	}
	return s.renderForm(w, r, http.StatusOK, d, func(f *views.RunForm) { f.Key = rand.Text() }, d.quietAbout(nil))
}

// draftOfQuery fills the form from a preset, a template, a run, or the core's defaults.
func (s *Server) draftOfQuery(r *http.Request) (*draft, error) {
	q := r.URL.Query()
	field, ref := inputPreset, "preset:"+firstPreset
	switch {
	case q.Get(fromClone) != "":
		field, ref = fromClone, "run:"+q.Get(fromClone)
	case q.Get(fromTemplate) != "":
		field, ref = fromTemplate, "template:"+q.Get(fromTemplate)
	case strings.HasPrefix(q.Get(inputPreset), fromTemplate+":"):
		ref = q.Get(inputPreset)
	case q.Get(inputPreset) != "":
		ref = "preset:" + q.Get(inputPreset)
	case q.Has(inputPreset):
		return draftOf(trainconf.NewRequest()), nil
	}
	sub, err := s.subjectOf(r.Context(), field, ref)
	if err != nil {
		return nil, err
	}
	d := draftOf(sub.request)
	d.origin, d.preset = sub.sub.Origin, sub.sub.Preset
	return d, nil
}

// query names what the form was filled from.
func (d *draft) query() string {
	kind, name, _ := strings.Cut(d.originText(), ":")
	if kind == "" {
		return "preset="
	}
	return kind + "=" + name
}

// renderForm answers with the whole page.
func (s *Server) renderForm(w http.ResponseWriter, r *http.Request, status int, d *draft, adjust func(*views.RunForm), hidden map[string]bool) error {
	c := s.contextOf(r.Context(), d)
	own, err := s.Templates.Templates(r.Context())
	if err != nil {
		return err
	}
	c.templates = own[:min(len(own), maxTemplateChoices)]
	c.models, c.sites = s.offers(r.Context())
	f := d.view(c, hidden)
	adjust(&f)
	if f.Shown, _, err = changed(r.Context(), f, ""); err != nil {
		return err
	}
	return s.render(w, r, status, views.RunNewPage(s.page(r, "New run", "runs"), f))
}

const (
	// maxTemplateChoices bounds the list of own templates on the form.
	maxTemplateChoices = 500
	// offersWait bounds how long the form waits for the cluster, of which it needs suggestions only.
	offersWait = 200 * time.Millisecond
	maxOffers  = 50
)

// offers are the GPU models and the sites of the cluster; nothing while it is away.
func (s *Server) offers(ctx context.Context) (models, sites []string) {
	ctx, cancel := context.WithTimeout(ctx, offersWait)
	defer cancel()
	nodes, err := s.Actions.Nodes(ctx)
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
		*list = (*list)[:min(len(*list), maxOffers)]
	}
	return models, sites
}

// handleRunValidate checks the form while it is being filled in, and answers with what the page does not show yet.
func (s *Server) handleRunValidate(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := readRequest(r.PostForm)
	hidden := map[string]bool{}
	if r.PostForm.Get("submitted") != "1" {
		touched := map[string]bool{}
		for name := range strings.SplitSeq(r.PostForm.Get("touched"), ",") {
			touched[name] = true
		}
		hidden = d.quietAbout(touched)
	}
	f := d.view(s.contextOf(r.Context(), d), hidden)
	shown, answer, err := changed(r.Context(), f, r.PostForm.Get("shown"))
	if err != nil {
		return err
	}
	if err := views.FormShown(shown, true).Render(r.Context(), answer); err != nil {
		return fmt.Errorf("render the state of the form: %w", err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = answer.WriteTo(w) // the browser has left: nobody is left to tell
	return nil
}

// hashLen is how many characters of the hidden input stand for one piece.
const hashLen = 8

// changed renders the pieces of a form that differ from those that the page shows, which it tells by a hash of each. A
// page whose hashes cannot be read gets all of them.
func changed(ctx context.Context, f views.RunForm, shown string) (now string, answer *bytes.Buffer, err error) {
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

// quietAbout lists the inputs whose mistakes are not shown yet: those that are empty and have not been touched. A value
// that stands in the form and is wrong, because another one changed, is shown.
func (d *draft) quietAbout(touched map[string]bool) map[string]bool {
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

// handleRunCreate submits the form. When it is refused the page comes back with everything as typed.
func (s *Server) handleRunCreate(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(r); err != nil {
		return err
	}
	d := readRequest(r.PostForm)
	if len(d.errs) == 0 {
		made, err := s.Actions.Submit(r.Context(), actor, d.submission(text(r.PostForm.Get("key"), 64)))
		var fields run.FieldErrors
		switch {
		case err == nil:
			http.Redirect(w, r, "/runs/"+string(made.ID), http.StatusSeeOther)
			return nil
		case errors.As(err, &fields):
			d.errs = append(d.errs, fields...)
		default:
			return err
		}
	}
	return s.refuse(w, r, d, "The run was not started.")
}

// refuseRun shows the form with everything that is wrong with it; whoever took it for something else cannot use it.
func (s *Server) refuseRun(w http.ResponseWriter, r *http.Request, d *draft) error {
	return s.refuse(w, r, d, "Nothing was saved: the form has mistakes.")
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, d *draft, said string) error {
	return s.renderForm(w, r, http.StatusUnprocessableEntity, d, func(f *views.RunForm) {
		f.Key, f.Submitted, f.Refused = text(r.PostForm.Get("key"), 64), true, said
	}, nil)
}
