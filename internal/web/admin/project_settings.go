package admin

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// setting is a field of a project's settings as a form has it.
type setting struct {
	name, label, help string
	hint              string // what it is where nothing is set
	get               func(access.Settings) string
	// set returns what is wrong with the text, and what would pass.
	set func(s *access.Settings, text string) (rule, fix string)
}

const noLimit = "no limit"

// settings are the fields, by name as in the errors of [auth.Service.ChangeProject].
func settings() []setting {
	return []setting{
		word("namespace", "Nomad namespace", "the console's own", "Its jobs, services and Nomad variables are in it.", func(s *access.Settings) *string { return &s.Namespace }),
		word("node_pool", "Node pool", "the console's own", "Where its workers run.", func(s *access.Settings) *string { return &s.NodePool }),
		word("folder", "Folder in shared storage", "what is no project's", "Only the project sees it, and it sees nothing else there.", func(s *access.Settings) *string { return &s.Folder }),
		count("workers", "Most workers of a run", func(s *access.Settings) *int { return &s.Limits.Workers }),
		count("gpus", "Most GPUs of a run", func(s *access.Settings) *int { return &s.Limits.GPUs }),
		count("priority", "Highest priority", func(s *access.Settings) *int { return &s.Limits.Priority }),
		{
			name: "max_duration_seconds", label: "Longest time limit", help: "Such as 12h. Runs that set none get it.", hint: noLimit,
			get: func(s access.Settings) string {
				if s.Limits.MaxDuration == 0 {
					return ""
				}
				return trainconf.FormatDuration(s.Limits.MaxDuration)
			},
			set: func(s *access.Settings, text string) (rule, fix string) {
				seconds, ok := trainconf.ParseDuration(text)
				if !ok && text != "" {
					return "is no time", "write it like 12h or 1d12h, or leave it empty"
				}
				s.Limits.MaxDuration = seconds
				return "", ""
			},
		},
		logRetention(), logSize(),
	}
}

const keptForEver = "the console's own limit"

func logRetention() setting {
	return setting{
		name: "retention_seconds", label: "Keep logs after a run's end", help: "Such as 90d. A change counts a day later.", hint: keptForEver,
		get: func(s access.Settings) string {
			if s.Logs.Retention == 0 {
				return ""
			}
			return trainconf.FormatDuration(s.Logs.Retention)
		},
		set: func(s *access.Settings, text string) (rule, fix string) {
			seconds, ok := trainconf.ParseDuration(text)
			if !ok && text != "" {
				return "is no time", "write it like 90d, or leave it empty"
			}
			s.Logs.Retention = seconds
			return "", ""
		},
	}
}

func logSize() setting {
	return setting{
		name: "max_bytes", label: "Most that its logs take", help: "Such as 50GB. Beyond it the logs of the runs that ended first are deleted.", hint: keptForEver,
		get: func(s access.Settings) string {
			if s.Logs.MaxBytes == 0 {
				return ""
			}
			return run.FormatSize(s.Logs.MaxBytes)
		},
		set: func(s *access.Settings, text string) (rule, fix string) {
			n, ok := run.ParseSize(text)
			if before := s.Logs.MaxBytes; text == run.FormatSize(before) {
				n = before // not rounded
			}
			if !ok && text != "" {
				return "is no size of 1MB or more", "write it like 500MB or 1.5TB, or leave it empty"
			}
			s.Logs.MaxBytes = n
			return "", ""
		},
	}
}

func word(name, label, hint, help string, field func(*access.Settings) *string) setting {
	return setting{name, label, help, hint, func(s access.Settings) string { return *field(&s) }, func(s *access.Settings, text string) (rule, fix string) {
		*field(s) = text
		return "", ""
	}}
}

func count(name, label string, field func(*access.Settings) *int) setting {
	return setting{name, label, "", noLimit, func(s access.Settings) string {
		if n := *field(&s); n != 0 {
			return strconv.Itoa(n)
		}
		return ""
	}, func(s *access.Settings, text string) (rule, fix string) {
		n, err := strconv.Atoi(text)
		if err != nil && text != "" {
			return "is no whole number", "write one, or leave it empty"
		}
		*field(s) = n
		return "", ""
	}}
}

// projectInput is the form of a project as typed; settings are by name, nil where there are none.
type projectInput struct {
	description string
	settings    map[string]string
}

func inputOf(s access.Settings) map[string]string {
	out := map[string]string{}
	for _, f := range settings() {
		out[f.name] = f.get(s)
	}
	return out
}

func readProject(form url.Values) projectInput {
	in := projectInput{description: page.Text(form.Get("description"), 800)}
	for _, f := range settings() {
		if form.Has(f.name) {
			if in.settings == nil {
				in.settings = map[string]string{}
			}
			in.settings[f.name] = strings.TrimSpace(page.Text(form.Get(f.name), 300))
		}
	}
	return in
}

// read returns the settings, or [run.FieldErrors].
func (in projectInput) read() (out access.Settings, err error) {
	var errs run.FieldErrors
	for _, f := range settings() {
		text := in.settings[f.name]
		if rule, fix := f.set(&out, text); rule != "" {
			errs = append(errs, run.FieldError{Field: f.name, Value: fault.Quote(text), Rule: rule, Fix: fix})
		}
	}
	if len(errs) > 0 {
		return out, errs
	}
	return out, nil
}

func (in projectInput) form() view.Form {
	fields := []ui.Field{text("description", "Description", in.description, "")}
	for _, f := range settings() {
		if value, ok := in.settings[f.name]; ok {
			field := text(f.name, f.label, value, f.help)
			field.Hint = f.hint
			fields = append(fields, field)
		}
	}
	return view.Form{Fields: fields}
}

// factsOf are the settings that are there.
func factsOf(s access.Settings) []ui.Fact {
	var out []ui.Fact
	for _, f := range settings() {
		if value := f.get(s); value != "" {
			out = append(out, ui.Fact{Key: f.name, Label: f.label, Value: value})
		}
	}
	return out
}
