package diff

import (
	"errors"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/diff"
)

// Show compares the query's a and b. Errors appear beside their inputs.
func (p *Pages) Show(w http.ResponseWriter, r *http.Request) error {
	ctx, q := r.Context(), r.URL.Query()
	d := view.Comparison{A: view.Side{Ref: page.Text(q.Get("a"), 200)}, B: view.Side{Ref: page.Text(q.Get("b"), 200)}}
	status := http.StatusOK
	var found [2]form.Subject
	for i, side := range []*view.Side{&d.A, &d.B} {
		if side.Ref == "" {
			continue
		}
		sub, err := p.Find(ctx, [...]string{"a", "b"}[i], side.Ref)
		switch bad := trainconf.AsFieldErrors(err); {
		case len(bad) > 0:
			side.Error, status = form.Sentence(bad[0]), http.StatusNotFound
		case errors.Is(err, fault.ErrNotFound):
			side.Error, status = fault.Of(err).Text(), http.StatusNotFound
		case err != nil:
			return err
		default:
			found[i] = sub
			side.Ref, side.Title, side.Href = sub.Ref, sub.Title, sub.Href
		}
	}
	if d.A.Title != "" && d.B.Title != "" {
		compare(&d, found[0], found[1])
	}
	var err error
	if d.Choices, err = p.Choices(ctx); err != nil {
		return err
	}
	return p.Render(w, r, status, view.Page(p.Frame(r, "Compare", ""), d))
}

// compare fills in the differences. Names count only between two runs.
func compare(d *view.Comparison, a, b form.Subject) {
	sections := map[string]int{}
	for _, section := range trainconf.Sections() {
		sections[section.Key] = len(d.Sections)
		d.Sections = append(d.Sections, view.Section{Key: section.Key, Title: section.Title})
	}
	for _, c := range b.Request.Changes(a.Request) {
		if c.Field == trainconf.FieldName && (a.Request.Name == "" || b.Request.Name == "") {
			continue
		}
		f, _ := trainconf.Lookup(c.Field)
		i, ok := sections[f.Section]
		if !ok {
			i = sections["run"]
		}
		d.Sections[i].Rows = append(d.Sections[i].Rows, view.Row(c))
	}
	var used []view.Section
	for _, section := range d.Sections {
		if len(section.Rows) > 0 {
			used = append(used, section)
		}
	}
	d.Sections = used
	d.Lines = diffLines(tomlLines(a.Request), tomlLines(b.Request))
}

func tomlLines(req trainconf.Request) []string {
	toml := strings.TrimRight(string(req.Config.TOML()), "\n")
	if toml == "" {
		return nil
	}
	return strings.Split(toml, "\n")
}
