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
	project, err := page.TargetProject(r, access.TemplatesSave, "")
	if err != nil {
		return err
	}
	in.UseSecrets(p.Form.Usable(r.Context(), project))
	t.Options.Secrets = in.Request.Options.Secrets
	f := &saveForm{
		name: t.Name, description: oneLine(t.Description), note: oneLine(t.Note), from: form.FromFile, request: in.Request,
		sub:      run.Submission{Config: t.Config, Shape: t.Shape, Options: t.Options},
		findings: findingsOf(in),
	}
	f.sub.Project = project
	if _, preset := trainconf.PresetByName(t.Name); preset {
		f.name = "my-" + t.Name
	}
	return p.renderSave(w, r, http.StatusOK, f)
}

// findingsOf reports what was not imported as it stood.
func findingsOf(in trainconf.Imported) []string {
	var out []string
	for _, secret := range in.Secrets {
		what := fmt.Sprintf("Line %d: secret removed. No secret is registered for %s: ask an administrator.", secret.Line, secret.Env)
		if secret.Name != "" {
			what = fmt.Sprintf("Line %d: secret removed. The registered secret %s stands for it.", secret.Line, secret.Name)
		}
		out = append(out, what)
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
