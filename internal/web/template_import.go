package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/views"
)

// maxImportForm bounds the body of an import: a file and a pasted text of the greatest size, encoded.
const maxImportForm = 512 << 10

// findingsShown is how many lines that were not understood a page lists.
const findingsShown = 20

// handleTemplateImport reads a file that was exported, or any CotrainCore TOML, and asks for a name. Nothing is saved yet.
func (s *Server) handleTemplateImport(w http.ResponseWriter, r *http.Request) error {
	content, err := importedText(r)
	if err != nil {
		return err
	}
	form := views.TemplateImport{Text: text(string(content), trainconf.MaxTOML)}
	refuse := func(problems ...string) error {
		form.Errors = problems
		return s.renderTemplateList(w, r, http.StatusUnprocessableEntity, form)
	}
	if len(content) == 0 {
		return refuse("Choose a file, or paste its text.")
	}
	t, in := trainconf.ImportTemplate(content)
	if len(in.Errors) > 0 {
		var problems []string
		for _, e := range in.Errors {
			problems = append(problems, labelled(e))
		}
		return refuse(problems...)
	}
	f := &saveForm{
		name: t.Name, description: oneLine(t.Description), note: oneLine(t.Note), from: fromFile, request: in.Request,
		sub:      run.Submission{Config: t.Config, Shape: t.Shape, Options: t.Options},
		findings: findingsOf(in),
	}
	if _, preset := trainconf.PresetByName(t.Name); preset {
		f.name = "my-" + t.Name
	}
	return s.renderSave(w, r, http.StatusOK, f)
}

// importedText is the chosen file, or else the pasted text. It reads one byte more than may be, so that too much is seen.
func importedText(r *http.Request) ([]byte, error) {
	if err := r.ParseMultipartForm(maxImportForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, formError(r, err)
	}
	if r.MultipartForm != nil {
		defer func() { _ = r.MultipartForm.RemoveAll() }() // files that were too large for memory
	}
	file, _, err := r.FormFile("file")
	if err == nil {
		defer func() { _ = file.Close() }() // it was only read
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

// findingsOf says what of a file was not taken over as it stood.
func findingsOf(in trainconf.Imported) []string {
	var out []string
	for _, secret := range in.Secrets {
		out = append(out, fmt.Sprintf("Line %d: a secret was taken out. Put it into a Nomad variable as %s, and name that variable in the secrets of the run.", secret.Line, secret.Env))
	}
	for i, l := range in.Ignored {
		if i == findingsShown {
			out = append(out, fmt.Sprintf("%d more lines were not used.", len(in.Ignored)-i))
			break
		}
		out = append(out, fmt.Sprintf("Line %d was not used: %s (%s)", l.Number, l.Why, text(l.Text, 120)))
	}
	return out
}
