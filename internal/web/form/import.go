package form

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/form"
)

// MaxImport bounds an import: a file and a pasted text of maximum size, encoded.
const MaxImport = 512 << 10

// ImportAsk shows the import page.
func (p *Pages) ImportAsk(w http.ResponseWriter, r *http.Request) error {
	return p.Render(w, r, http.StatusOK, view.ImportPage(p.Frame(r, "Import TOML", "runs"), trainconf.MaxTOML))
}

// Import fills the form from a text and reports on each line. The text is not kept.
func (p *Pages) Import(w http.ResponseWriter, r *http.Request) error {
	pasted, err := ReadUpload(r)
	if err != nil {
		return err
	}
	if len(pasted) == 0 {
		return run.FieldErrors{{Field: "text", Rule: "must hold a configuration", Fix: "paste CotrainCore's TOML, or choose a file"}}
	}
	im := trainconf.Import(pasted)
	project, err := page.TargetProject(r, access.RunsSubmit, "")
	if err != nil {
		return err
	}
	im.UseSecrets(p.Usable(r.Context(), project))
	d := draftOf(im.Request)
	d.project = project
	report := importReport(im)
	return p.renderForm(w, r, http.StatusOK, d, func(f *view.Form) { f.Key, f.Import = rand.Text(), &report }, d.untouched(nil))
}

// ReadUpload returns the uploaded file, else the pasted text. It reads one byte beyond the limit, to detect excess.
func ReadUpload(r *http.Request) ([]byte, error) {
	if err := r.ParseMultipartForm(MaxImport); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, page.FormError(r, err)
	}
	if r.MultipartForm != nil {
		defer func() { _ = r.MultipartForm.RemoveAll() }() // temporary files
	}
	if file, _, err := r.FormFile("file"); err == nil {
		defer func() { _ = file.Close() }() // only read
		content, err := io.ReadAll(io.LimitReader(file, trainconf.MaxTOML+1))
		if err != nil {
			return nil, fmt.Errorf("read the file: %w", err)
		}
		if len(content) > 0 {
			return content, nil
		}
	}
	return []byte(r.PostFormValue("text")), nil
}

func importReport(im trainconf.Imported) view.Import {
	var v view.Import
	lines := func(in []trainconf.Line) []view.ImportLine {
		var out []view.ImportLine
		for _, l := range in {
			out = append(out, view.ImportLine{Number: l.Number, Text: l.Text, Why: strings.TrimSuffix(l.Why+"; "+l.Doubt, "; ")})
		}
		return out
	}
	v.Understood, v.Ignored = lines(im.Understood), lines(im.Ignored)
	for _, e := range im.Errors {
		v.Errors = append(v.Errors, Labelled(e))
	}
	for _, sec := range im.Secrets {
		v.Secrets = append(v.Secrets, view.ImportSecret{Line: sec.Line, Env: sec.Env, Name: sec.Name})
	}
	return v
}
