package draft

import (
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Import is what was made of a text. Secrets in it are taken out, and appear nowhere here.
type Import struct {
	Config     string           `json:"config" doc:"What was understood, as canonical TOML"`
	Shape      run.Shape        `json:"shape"`
	Options    run.Options      `json:"options"`
	Understood []ImportLine     `json:"understood" nullable:"false" doc:"Why is the field, or what else was set"`
	Ignored    []ImportLine     `json:"ignored" nullable:"false" doc:"Why is the reason"`
	Errors     []run.FieldError `json:"errors" nullable:"false" doc:"What could not be understood, with its line in the rule"`
	Invalid    []run.FieldError `json:"invalid" nullable:"false" doc:"Why what was understood is not valid as it stands"`
	Secrets    []ImportSecret   `json:"secrets" nullable:"false" doc:"Secrets that were taken out"`
}

// ImportLine is a line of the text, or the part of one that something is said of.
type ImportLine struct {
	Number int    `json:"line" doc:"Counted from 1"`
	Text   string `json:"text" doc:"Without secrets"`
	Why    string `json:"why"`
	Doubt  string `json:"doubt,omitempty" doc:"Of a value that was taken although the script may not set it"`
}

// ImportSecret is a secret that was taken out.
type ImportSecret struct {
	Field string `json:"field" doc:"The field, or env for a variable that is not CotrainCore's"`
	Line  int    `json:"line" doc:"Where it was"`
	Env   string `json:"env" doc:"The environment variable that it becomes"`
	Name  string `json:"secret,omitempty" doc:"The registered secret for it, which options.secrets names; left out where none is registered"`
}

// ImportOf is what [trainconf.Import] returns, as JSON.
func ImportOf(im trainconf.Imported) Import {
	sub := im.Request.Submission()
	out := Import{
		Config: sub.Config, Shape: sub.Shape, Options: sub.Options, Understood: linesOf(im.Understood), Ignored: linesOf(im.Ignored),
		Errors: list(im.Errors), Invalid: list(im.Invalid), Secrets: make([]ImportSecret, 0, len(im.Secrets)),
	}
	for _, found := range im.Secrets {
		out.Secrets = append(out.Secrets, ImportSecret(found))
	}
	return out
}

func linesOf(lines []trainconf.Line) []ImportLine {
	out := make([]ImportLine, 0, len(lines))
	for _, l := range lines {
		out = append(out, ImportLine(l))
	}
	return out
}
