package cli

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logparse"
)

type parseCmd struct {
	Format  string `enum:"json,table" default:"json" help:"json or table."`
	Config  string `placeholder:"FILE" help:"Configuration file of a console, for the formats of its site."`
	Pattern string `placeholder:"TEXT" help:"A format to try: text with the places of numbers in braces, such as \"it={step} loss={loss}\"."`
	File    string `arg:"" placeholder:"FILE" help:"Log of a trainer; - reads the standard input."`
}

// Run prints what each line yields, in order, as one JSON object or one row.
func (c *parseCmd) Run(p *process) error {
	site, err := c.site(p)
	if err != nil {
		return err
	}
	in, done, err := p.openLog(c.File, "parse")
	if err != nil {
		return err
	}
	defer done()
	write := appendJSONLine
	if c.Format == "table" {
		write = appendRow
		if err := p.print("%8s  %10s  %-14s  %s\n", "LINE", "STEP", "FORMAT", "METRICS"); err != nil {
			return err
		}
	}
	return parseLog(in, p.stdout, site, write)
}

// site returns the formats beside the built-in ones.
func (c *parseCmd) site(p *process) ([]*logparse.SiteFormat, error) {
	var site []*logparse.SiteFormat
	if c.Pattern != "" {
		f, err := logparse.NewSiteFormat("pattern", c.Pattern)
		if err != nil {
			var broken *logparse.PatternError
			if asPattern(err, &broken) {
				return nil, fault.Usage(fmt.Sprintf("--pattern %s %s", fault.Quote(c.Pattern), broken.Rule), broken.Fix)
			}
			return nil, err
		}
		site = append(site, f)
	}
	if c.Config == "" {
		return site, nil
	}
	configured, err := config.LogFormats(c.Config, p.readFile)
	return append(site, configured...), err
}
