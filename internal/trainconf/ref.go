package trainconf

import (
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Ref names what a configuration is taken from: a run, a preset, or a version of a template. The zero value names nothing.
type Ref struct {
	Run      run.ID
	Preset   string
	Template run.TemplateRef
}

// ParseRef reads "run:r-…", "preset:name", "template:name@2" or "template:project/name@2"; a template with the name of a preset is that. What has another
// form is [run.FieldErrors] about field, and what cannot exist matches [fault.ErrNotFound].
func ParseRef(field, ref string) (Ref, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "run":
		id, err := run.ParseID(name)
		if err != nil {
			return Ref{}, run.NoRun(name)
		}
		return Ref{Run: id}, nil
	case "preset":
		if _, ok := PresetByName(name); !ok {
			return Ref{}, NoPreset(name)
		}
		return Ref{Preset: name}, nil
	case "template":
		template, ok := run.ParseTemplateRef(name)
		if !ok {
			return Ref{}, run.NoTemplate(name, 0)
		}
		if _, preset := PresetByName(name); preset {
			return Ref{Preset: name}, nil
		}
		return Ref{Template: template}, nil
	}
	return Ref{}, run.FieldErrors{{Field: field, Value: fault.Quote(ref), Rule: "must name a run, a template or a preset", Fix: "write run:r-…, template:name@2 or preset:name"}}
}

// String is what [ParseRef] reads, "" for nothing.
func (r Ref) String() string {
	switch {
	case r.Run != "":
		return "run:" + string(r.Run)
	case r.Preset != "":
		return "preset:" + r.Preset
	case r.Template.Name != "":
		return "template:" + r.Template.String()
	}
	return ""
}
