package cli

import (
	"strings"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type configImportCmd struct {
	Local `embed:""`
	File  string `arg:"" placeholder:"FILE" help:"TOML, shell script, .env file or docker command, in any mixture; - reads the standard input."`
}

// Run prints what was understood as TOML, with notes about the rest on stderr. It exits 1 when something was not understood, or
// is not valid as it stands.
func (c *configImportCmd) Run(p *process) error {
	data, err := p.readText(c.File, c.File, trainconf.MaxTOML, "check that it is a configuration")
	if err != nil {
		return err
	}
	imported := trainconf.Import(data)
	if c.Format == "json" {
		err = p.printJSON(draft.ImportOf(imported))
	} else {
		err = p.printText(string(imported.Request.Config.TOML()))
		p.noteImport(imported)
	}
	if err == nil && len(imported.Errors)+len(imported.Invalid) > 0 {
		err = errQuiet
	}
	return err
}

// noteImport says what is not in the TOML.
func (p *process) noteImport(im trainconf.Imported) {
	for _, e := range im.Errors {
		p.say("error: %s", e.Error())
	}
	for _, e := range im.Invalid {
		p.say("not valid as it stands: %s", e.Error())
	}
	for _, l := range im.Ignored {
		p.say("line %d ignored: %s: %s", l.Number, l.Text, l.Why)
	}
	for _, l := range im.Understood {
		if l.Doubt != "" {
			p.say("line %d: %s %s", l.Number, l.Text, l.Doubt)
		}
	}
	for _, found := range im.Secrets {
		p.say("line %d: a secret was taken out: name a registered secret for %s with --secret (cotrain secret list)", found.Line, found.Env)
	}
	if len(im.Understood)+len(im.Errors)+len(im.Secrets) == 0 {
		p.say("nothing in it is a setting of CotrainCore: all are at their defaults")
	}
	for _, change := range im.Request.Changes(trainconf.NewRequest()) {
		if isCore(change.Field) {
			continue
		}
		p.say("not part of the TOML: %s = %s", change.Field, strings.ReplaceAll(change.After, "\n", ", "))
	}
}

// isCore reports whether a field is one of CotrainCore's.
func isCore(field string) bool { return trainconf.EnvName(field) != "" }
