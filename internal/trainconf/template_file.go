package trainconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// templateMark begins the comment line of a template's file that holds what CotrainCore's TOML cannot.
const templateMark = "# cotrain:"

// templateVersion is the version of the JSON after the mark. A greater one is refused: it may mean something else.
const templateVersion = 1

// templateHead is the JSON after the mark.
type templateHead struct {
	V           int         `json:"v"`
	Kind        string      `json:"kind"` // "template"
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Note        string      `json:"note,omitempty"`
	Shape       run.Shape   `json:"shape"`
	Options     run.Options `json:"options,omitzero"`
}

// EncodeTemplate writes a template as one file. CotrainCore reads it as it is, since all that its TOML cannot hold (name,
// shape, options) stands as JSON in a comment; [ImportTemplate] reads back exactly what was written.
func EncodeTemplate(t run.Template) []byte {
	head, err := json.Marshal(templateHead{
		V: templateVersion, Kind: "template", Name: t.Name, Description: t.Description, Note: t.Note, Shape: t.Shape, Options: t.Options,
	})
	if err != nil { // strings, numbers, and maps of strings
		head = []byte(`{}`)
	}
	var b bytes.Buffer
	b.WriteString("# A template of CoTrain. CotrainCore can read this file as it is; CoTrain also reads the next line, which holds\n" +
		"# what the core's TOML cannot: the shape, and the options of the run.\n")
	b.WriteString(templateMark + " ")
	b.Write(head) // on one line: JSON escapes control characters
	b.WriteString("\n\n")
	b.WriteString(t.Config)
	return b.Bytes()
}

// ImportTemplate reads a file that [EncodeTemplate] wrote, or any CotrainCore TOML: then the template has the name "", and
// the shape and options that [Import] found. Everything that is wrong is in the errors of the second result, by line. The
// configuration is written anew, so a file with other comments or order gives the same template.
func ImportTemplate(text []byte) (run.Template, Imported) {
	in := Import(text)
	head, found, errs := readTemplateHead(text)
	in.Errors = append(errs, in.Errors...)
	if found && len(errs) == 0 {
		in.Request.Shape, in.Request.Options = head.Shape, head.Options
	}
	return run.Template{
		Name: head.Name, Description: head.Description, Note: head.Note, Config: string(in.Request.Config.TOML()),
		Shape: in.Request.Shape, Options: in.Request.Options,
	}, in
}

// readTemplateHead finds the marked line among the comments at the start of a file.
func readTemplateHead(text []byte) (head templateHead, found bool, errs run.FieldErrors) {
	if len(text) > MaxTOML { // Import says so
		return head, false, nil
	}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) {
		number++
		line := strings.TrimSpace(string(line))
		if line != "" && !strings.HasPrefix(line, "#") {
			break
		}
		rest, marked := strings.CutPrefix(line, templateMark)
		if !marked {
			continue
		}
		if err := decodeHead(rest, &head); err != nil {
			return templateHead{}, true, run.FieldErrors{fieldError(FieldConfig, fault.Quote(rest), where(number)+err.Error(),
				"export the template again, or remove that line to import the configuration alone")}
		}
		return head, true, nil
	}
	return head, false, nil
}

func decodeHead(text string, head *templateHead) error {
	if key, found := run.DuplicateKey([]byte(text)); found {
		return fmt.Errorf("has %.40s twice", key)
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(head); err != nil {
		return fmt.Errorf("is not the description of a template: %s", fault.Quote(strings.TrimPrefix(err.Error(), "json: ")))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("holds more than the description of a template")
	}
	if head.V != templateVersion || head.Kind != "template" {
		return fmt.Errorf("describes version %d of a %.40q; this console reads version %d of a template", head.V, head.Kind, templateVersion)
	}
	return nil
}
