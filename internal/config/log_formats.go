package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/run"
)

// logFormats accepts the formats of a site.
func logFormats(texts []string) *problem {
	if len(texts) > logparse.MaxSiteFormats {
		return broken(fmt.Sprintf("has more than %d formats", logparse.MaxSiteFormats), "remove those that no trainer prints")
	}
	names := map[string]bool{}
	for i, text := range texts {
		f, err := logparse.ParseSiteFormat(text)
		var p *logparse.PatternError
		switch {
		case errors.As(err, &p):
			return broken(fmt.Sprintf("format %d: %s", i+1, p.Rule), p.Fix)
		case names[f.Name]:
			return broken(fmt.Sprintf("has the name %s twice", f.Name), "name each differently")
		}
		names[f.Name] = true
	}
	return nil
}

// SiteFormats are LogFormats for a parser.
func (c Config) SiteFormats() []*logparse.SiteFormat {
	out := make([]*logparse.SiteFormat, 0, len(c.LogFormats))
	for _, text := range c.LogFormats {
		if f, err := logparse.ParseSiteFormat(text); err == nil { // checked by Load
			out = append(out, f)
		}
	}
	return out
}

// LogFormats reads the formats of a site from a configuration file, on a machine that may have nothing else that the file names:
// secrets are not read.
func LogFormats(name string, readFile func(string) ([]byte, error)) ([]*logparse.SiteFormat, error) {
	l := newLoader(nil, readFile)
	l.loadFile(name, "--config", slices.DeleteFunc(Settings(), func(s Setting) bool { return s.Secret }))
	errs := slices.DeleteFunc(l.errs, func(e run.FieldError) bool { return e.Rule == unknownSetting })
	if len(errs) > 0 {
		return nil, errs
	}
	return l.cfg.SiteFormats(), nil
}
