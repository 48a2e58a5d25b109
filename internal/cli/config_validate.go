package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// Local is the flags of commands that need no console.
type Local struct {
	Format string `enum:"table,json" default:"table" help:"table or json."`
}

type configValidateCmd struct {
	Local   `embed:""`
	File    string `arg:"" placeholder:"FILE" help:"CotrainCore's TOML; - reads it from the standard input."`
	Strict  bool   `help:"Warnings fail too."`
	Changes `embed:""`
}

// Run checks the file, and exits 1 when it is not valid.
func (c *configValidateCmd) Run(p *process) error {
	src, err := c.source()
	if err != nil {
		return err
	}
	data, err := p.readText(c.File, c.File, maxConfigFile, "check that it is CotrainCore's TOML")
	if err != nil {
		return err
	}
	src.Config = string(data)
	d := src.Apply(draft.Empty(), nil)
	v := d.Validation(false, trainconf.EstimateInput{})
	if c.Format == "json" {
		err = p.printJSON(v)
	} else {
		err = p.printFaults(c.File, data, v)
	}
	if err == nil && (!v.Valid || c.Strict && len(v.Warnings) > 0) {
		err = errQuiet
	}
	return err
}

// printFaults prints everything wrong as a compiler does, then the verdict.
func (p *process) printFaults(file string, data []byte, v draft.Validation) error {
	at := lines(data)
	for _, kind := range []struct {
		name   string
		faults []run.FieldError
	}{{"error", v.Errors}, {"warning", v.Warnings}} {
		for _, f := range kind.faults {
			place := file
			if n := lineOf(f, at); n > 0 {
				place += ":" + strconv.Itoa(n)
				f.Rule = strings.TrimPrefix(f.Rule, fmt.Sprintf("line %d: ", n))
			}
			if err := p.print("%s\n", printable(fmt.Sprintf("%s: %s: %s", place, kind.name, f.Error()))); err != nil {
				return err
			}
		}
	}
	verdict := "valid"
	if !v.Valid {
		verdict = "not valid"
	}
	return p.print("%s\n", p.text(fmt.Sprintf("%s: %s, %s, %s", file, verdict, count(len(v.Errors), "error"), count(len(v.Warnings), "warning"))))
}

// count is "1 error" or "2 errors".
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// lines says on which line of a file each field is set.
func lines(data []byte) map[string]int {
	at := map[string]int{}
	for _, l := range trainconf.Import(data).Understood {
		for field := range strings.SplitSeq(l.Why, ", ") {
			at[field] = l.Number
		}
	}
	return at
}

// lineOf is the line that an error is about: the one that it names, or that which sets its field, or 0.
func lineOf(f run.FieldError, at map[string]int) int {
	if rest, found := strings.CutPrefix(f.Rule, "line "); found {
		digits, _, _ := strings.Cut(rest, ":")
		if n, err := strconv.Atoi(digits); err == nil {
			return n
		}
	}
	return at[f.Field]
}
