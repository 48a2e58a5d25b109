package web

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// handleRunImportAsk takes a configuration.
func (s *Server) handleRunImportAsk(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, r, http.StatusOK, views.RunImportPage(s.page(r, "Import TOML", "runs"), trainconf.MaxTOML))
}

// handleRunImport fills the form from a text, and says what became of each of its lines. The text is not kept.
func (s *Server) handleRunImport(w http.ResponseWriter, r *http.Request) error {
	pasted, err := readImport(r)
	if err != nil {
		return err
	}
	im := trainconf.Import(pasted)
	d := draftOf(im.Request)
	report := importReport(im)
	return s.renderForm(w, r, http.StatusOK, d, func(f *views.RunForm) { f.Key, f.Import = rand.Text(), &report }, d.quietAbout(nil))
}

// readImport returns the file when there is one, and else the text.
func readImport(r *http.Request) ([]byte, error) {
	err := r.ParseMultipartForm(maxImportForm)
	if errors.Is(err, http.ErrNotMultipart) {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, formError(r, err)
	}
	if r.MultipartForm != nil {
		defer func() { _ = r.MultipartForm.RemoveAll() }()
		if files := r.MultipartForm.File["file"]; len(files) > 0 && files[0].Size > 0 {
			f, err := files[0].Open()
			if err != nil {
				return nil, errBadForm
			}
			defer func() { _ = f.Close() }()
			data, err := io.ReadAll(io.LimitReader(f, trainconf.MaxTOML+1))
			if err != nil {
				return nil, errBadForm
			}
			return data, nil
		}
	}
	pasted := r.PostForm.Get("text")
	if pasted == "" {
		return nil, run.FieldErrors{{Field: "text", Rule: "must hold a configuration", Fix: "paste CotrainCore's TOML, or choose a file"}}
	}
	return []byte(pasted), nil
}

// importReport is what a person is told of an import.
func importReport(im trainconf.Imported) views.RunImport {
	var v views.RunImport
	lines := func(in []trainconf.Line) []views.ImportLine {
		var out []views.ImportLine
		for _, l := range in {
			out = append(out, views.ImportLine{Number: l.Number, Text: l.Text, Why: strings.TrimSuffix(l.Why+"; "+l.Doubt, "; ")})
		}
		return out
	}
	v.Understood, v.Ignored = lines(im.Understood), lines(im.Ignored)
	for _, e := range im.Errors {
		v.Errors = append(v.Errors, labelled(e))
	}
	for _, sec := range im.Secrets {
		v.Secrets = append(v.Secrets, views.ImportSecret{Line: sec.Line, Env: sec.Env, Variable: im.Request.Options.Secrets})
	}
	return v
}
