package templates

import (
	"fmt"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/templates"
)

// findingsShown bounds the lines reported as not understood.
const findingsShown = 20

// Import reads an exported file, or any CotrainCore TOML, and asks for a name.
func (p *Pages) Import(w http.ResponseWriter, r *http.Request) error {
	content, err := form.ReadUpload(r)
	if err != nil {
		return err
	}
	upload := view.Import{Text: page.Text(string(content), trainconf.MaxTOML)}
	refuse := func(problems ...string) error {
		upload.Errors = problems
		return p.renderTemplateList(w, r, http.StatusUnprocessableEntity, upload)
	}
	if len(content) == 0 {
		return refuse("Choose a file, or paste its text.")
	}
	t, in := trainconf.ImportTemplate(content)
	if len(in.Errors) > 0 {
		var problems []string
		for _, e := range in.Errors {
			problems = append(problems, form.Labelled(e))
		}
		return refuse(problems...)
	}
	f := &saveForm{
		name: t.Name, description: oneLine(t.Description), note: oneLine(t.Note), from: form.FromFile, request: in.Request,
		sub:      run.Submission{Config: t.Config, Shape: t.Shape, Options: t.Options},
		findings: findingsOf(in),
	}
	if f.sub.Project, err = page.TargetProject(r, access.TemplatesSave, ""); err != nil {
		return err
	}
	if _, preset := trainconf.PresetByName(t.Name); preset {
		f.name = "my-" + t.Name
	}
	return p.renderSave(w, r, http.StatusOK, f)
}

// findingsOf reports what was not imported as it stood.
func findingsOf(in trainconf.Imported) []string {
	var out []string
	for _, secret := range in.Secrets {
		out = append(out, fmt.Sprintf("Line %d: secret removed. Put it into a Nomad variable as %s and name that variable under Secrets.", secret.Line, secret.Env))
	}
	for i, l := range in.Ignored {
		if i == findingsShown {
			out = append(out, fmt.Sprintf("%d more lines ignored", len(in.Ignored)-i))
			break
		}
		out = append(out, fmt.Sprintf("Line %d ignored: %s (%s)", l.Number, l.Why, page.Text(l.Text, 120)))
	}
	return out
}
