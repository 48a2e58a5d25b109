package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// runsOffered is how many of the newest runs the page of differences offers; any other is named by its ID.
const runsOffered = 50

// handleDiff compares what the query's a and b name. What cannot be compared is told beside its input.
func (s *Server) handleDiff(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	d := views.Diff{A: views.DiffSide{Ref: text(q.Get("a"), 200)}, B: views.DiffSide{Ref: text(q.Get("b"), 200)}}
	status := http.StatusOK
	var found [2]subject
	for i, side := range []*views.DiffSide{&d.A, &d.B} {
		if side.Ref == "" {
			continue
		}
		sub, err := s.subjectOf(ctx, [...]string{"a", "b"}[i], side.Ref)
		switch bad := trainconf.AsFieldErrors(err); {
		case len(bad) > 0:
			side.Error, status = sentences(bad[0]), http.StatusNotFound
		case errors.Is(err, fault.ErrNotFound):
			side.Error, status = fault.Of(err).Text(), http.StatusNotFound
		case err != nil:
			return err
		default:
			found[i] = sub
			side.Ref, side.Title, side.Href = sub.ref, sub.title, sub.href
		}
	}
	if d.A.Title != "" && d.B.Title != "" {
		compare(&d, found[0], found[1])
	}
	var err error
	if d.Choices, err = s.diffChoices(ctx); err != nil {
		return err
	}
	return s.render(w, r, status, views.DiffPage(s.page(r, "Compare", ""), d))
}

// compare fills in what differs from a to b. Only runs have names, so a name counts only between two of them.
func compare(d *views.Diff, a, b subject) {
	sections := map[string]int{}
	for _, section := range trainconf.Sections() {
		sections[section.Key] = len(d.Sections)
		d.Sections = append(d.Sections, views.DiffSection{Key: section.Key, Title: section.Title})
	}
	for _, c := range b.request.Changes(a.request) {
		if c.Field == trainconf.FieldName && (a.request.Name == "" || b.request.Name == "") {
			continue
		}
		f, _ := trainconf.Lookup(c.Field)
		i, ok := sections[f.Section]
		if !ok {
			i = sections["run"]
		}
		d.Sections[i].Rows = append(d.Sections[i].Rows, views.DiffRow(c))
	}
	var used []views.DiffSection
	for _, section := range d.Sections {
		if len(section.Rows) > 0 {
			used = append(used, section)
		}
	}
	d.Sections = used
	d.Lines = diffLines(tomlLines(a.request), tomlLines(b.request))
}

func tomlLines(req trainconf.Request) []string {
	toml := strings.TrimRight(string(req.Config.TOML()), "\n")
	if toml == "" {
		return nil
	}
	return strings.Split(toml, "\n")
}

// diffChoices is what can be compared: templates, presets, and the newest runs.
func (s *Server) diffChoices(ctx context.Context) ([]views.DiffChoice, error) {
	own, err := s.Templates.Templates(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := s.Runs.Runs(ctx, run.RunFilter{Limit: runsOffered})
	if err != nil {
		return nil, err
	}
	var out []views.DiffChoice
	for _, t := range own {
		out = append(out, views.DiffChoice{Ref: "template:" + t.Ref(), Label: t.Name + ", version " + views.Integer(t.Version)})
	}
	for _, p := range trainconf.Presets() {
		out = append(out, views.DiffChoice{Ref: "preset:" + p.Name, Label: p.Title})
	}
	for _, r := range runs {
		out = append(out, views.DiffChoice{Ref: "run:" + string(r.ID), Label: r.Name + ", " + string(r.State)})
	}
	return out, nil
}
