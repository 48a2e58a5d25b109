package trainconf

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
)

// Start is what a new run, template or sweep starts from: a run, a version of a template, a preset, or nothing. Change its
// Request, then take its Submission.
type Start struct {
	Request Request
	Project string // of the run or the template; "" for a preset
	Preset  string // the preset, or ""
	Origin  run.Origin

	text    string // the configuration as it was written, "" for canonical
	written Config // what text says
}

// Find reads what a reference names with the function for its kind, whose error it returns as it is.
func (r Ref) Find(ctx context.Context, runByID func(context.Context, run.ID) (run.Run, error), template func(ctx context.Context, project, name string, version int) (run.Template, error)) (Start, error) {
	switch {
	case r.Run != "":
		found, err := runByID(ctx, r.Run)
		if err != nil {
			return Start{Request: NewRequest()}, err
		}
		return StartOfRun(found)
	case r.Template.Name != "":
		found, err := template(ctx, r.Template.Project, r.Template.Name, r.Template.Version)
		if err != nil {
			return Start{Request: NewRequest()}, err
		}
		return StartOfTemplate(found)
	}
	p, _ := PresetByName(r.Preset)
	return StartOfPreset(p), nil
}

// StartOfRun starts from a run as it was asked for; see [AsAsked]. An error is as that of [RequestOf].
func StartOfRun(r run.Run) (Start, error) {
	r = AsAsked(r)
	req, err := RequestOfRun(r)
	return Start{Request: req, Project: r.Project, Origin: run.Origin{Clone: r.ID}, text: r.Config, written: req.Config}, err
}

// StartOfTemplate starts from a version of a template. An error is as that of [RequestOf].
func StartOfTemplate(t run.Template) (Start, error) {
	req, err := RequestOfTemplate(t)
	return Start{Request: req, Project: t.Project, Origin: run.Origin{Template: t.FullRef()}, text: t.Config, written: req.Config}, err
}

// StartOfPreset starts from a preset.
func StartOfPreset(p Preset) Start {
	return Start{Request: RequestOfPreset(p), Preset: p.Name, Origin: run.Origin{Template: p.Name}}
}

// SetConfig replaces the configuration by a text, as far as it can be read. An error is as that of [Parse].
func (s *Start) SetConfig(text string) error {
	cfg, err := Parse([]byte(text))
	s.Request.Config, s.text, s.written = cfg, text, cfg
	return err
}

// Submission is what a new run is made from. A configuration that was written as text stays as it is, comments and all,
// unless something in it was changed.
func (s *Start) Submission() run.Submission {
	sub := s.Request.Submission()
	if s.text != "" && s.Request.Config.Equal(s.written) {
		sub.Config = s.text
	}
	sub.Project, sub.Preset, sub.Origin = s.Project, s.Preset, s.Origin
	return sub
}
