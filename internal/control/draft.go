package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const (
	maxKey    = 200 // bytes of an idempotency key
	maxOrigin = 200 // bytes of an origin
)

// draft is a valid submission: a run without an ID.
type draft struct {
	run   run.Run // with placeholders
	conf  trainconf.Config
	refs  []run.SecretRef   // what its secrets stand for
	fixed map[string]string // output folders without the run's ID, by field
	warns run.FieldErrors
}

// prepare checks a submission and fills in defaults. It reports all problems at once, as [run.FieldErrors].
func (c *Control) prepare(s run.Submission, in surroundings) (draft, error) {
	s.Name, s.Options, s.Origin.Template = strings.TrimSpace(s.Name), tidyOptions(s.Options), templateIn(s.Project, s.Origin.Template)
	errs := slices.Concat(checkOrigin(s), c.assign(&s), c.mirrors(s.Options))
	refs, unusable, err := in.resolve(&s)
	if err != nil {
		return draft{}, err
	}
	errs = append(errs, unusable...)
	if bad := trainconf.ValidatePayload(s.Config); bad != nil {
		return draft{}, append(errs, *bad)
	}
	req, err := trainconf.RequestOf(s)
	if err != nil {
		bad := trainconf.AsFieldErrors(err)
		if bad == nil {
			return draft{}, err
		}
		if fe := trainconf.ValidateName(s.Name); fe != nil {
			errs = append(errs, *fe)
		}
		errs = append(errs, trainconf.ValidateShape(s.Shape)...)
		errs = append(errs, trainconf.ValidateOptions(s.Options)...)
		return draft{}, append(errs, bad...) // rules between fields need readable fields
	}
	bad, warns := req.Check()
	effective := req.EffectiveConfig()
	if in.paths != nil {
		lost, odd := in.paths(effective, s.Shape)
		bad, warns = append(bad, lost...), append(warns, odd...)
	}
	if errs = append(errs, bad...); len(errs) > 0 {
		return draft{}, errs
	}
	shape := s.Shape
	if shape.CPU == 0 {
		shape.CPU = run.DefaultWorkerCPU
	}
	if shape.Memory == 0 {
		shape.Memory = run.DefaultWorkerMemory
	}
	plan := effective.Plan(shape)
	folder, _ := effective.Get("ckpt.path")
	return draft{conf: req.Config, refs: refs, fixed: fixedFolders(effective), warns: warns, run: run.Run{
		Project: s.Project, Name: s.Name, Preset: s.Preset, Config: s.Config, Shape: shape, Options: s.Options, Origin: s.Origin, State: run.Queued,
		CheckpointPath: folder, StepsTotal: plan.StepsTotal, InnerSteps: plan.InnerSteps, CreatedAt: c.o.Now(),
	}}, nil
}

// templateIn is a reference to a template as a run of a project has it: without the project if that is the same.
func templateIn(project, ref string) string {
	if named, ok := run.ParseTemplateRef(ref); ok && named.Project == project {
		named.Project = ""
		return named.String()
	}
	return ref
}

// exampleID has the length of every ID.
const exampleID = "r-0000000000"

// checkOrigin checks a submission's key and origin.
func checkOrigin(s run.Submission) run.FieldErrors {
	var errs run.FieldErrors
	long := func(field, value string, limit int, fix string) {
		if len(value) > limit {
			errs = append(errs, run.FieldError{Field: field, Value: fault.Clip(value, 23), Rule: fmt.Sprintf("must have at most %d bytes", limit), Fix: fix})
		}
	}
	long("key", s.Key, maxKey, "use a UUID")
	long("preset", s.Preset, maxOrigin, "use the name of a preset, or none")
	long("origin.template", s.Origin.Template, maxOrigin, "use name@version, or none")
	if s.Origin.Clone != "" {
		if _, err := run.ParseID(string(s.Origin.Clone)); err != nil {
			long("origin.clone", string(s.Origin.Clone), len(exampleID), "use the ID of a run, or none")
			if len(s.Origin.Clone) <= len(exampleID) {
				errs = append(errs, run.FieldError{Field: "origin.clone", Value: string(s.Origin.Clone), Rule: "must be the ID of a run", Fix: "use one such as " + exampleID + ", or none"})
			}
		}
	}
	return errs
}

// tidyOptions normalizes options so that equal ones compare equal.
func tidyOptions(o run.Options) run.Options {
	o.Description = strings.TrimSpace(o.Description)
	var tags []string
	for _, tag := range o.Tags {
		if tag = strings.TrimSpace(tag); tag != "" {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	o.Tags = slices.Compact(tags)
	if o.Secrets = slices.Compact(slices.Sorted(slices.Values(o.Secrets))); len(o.Secrets) == 0 {
		o.Secrets = nil
	}
	if len(o.Env) == 0 {
		o.Env = nil
	}
	if len(o.Args) == 0 {
		o.Args = nil
	}
	return o
}

// withID returns the run with its ID filled in.
func (d draft) withID(id run.ID) (run.Run, error) {
	r := d.run
	r.ID = id
	var err error
	if r.Config, err = fillConfig(r.Config, d.conf, id); err != nil {
		return r, err
	}
	r.Options = fillOptions(r.Options, id)
	r.CheckpointPath = strings.ReplaceAll(r.CheckpointPath, trainconf.RunPlaceholder, string(id))
	return r, nil
}

// fillConfig fills in the placeholder in folders. The text stays as written, comments included, unless it has the
// placeholder elsewhere too.
func fillConfig(text string, conf trainconf.Config, id run.ID) (string, error) {
	want, found := conf, false
	for _, field := range trainconf.OutputFields() {
		value, _ := conf.Get(field)
		if !strings.Contains(value, trainconf.RunPlaceholder) {
			continue
		}
		found = true
		if err := want.Set(field, strings.ReplaceAll(value, trainconf.RunPlaceholder, string(id))); err != nil {
			return "", fmt.Errorf("fill in the run's ID: %w", err)
		}
	}
	if !found {
		return text, nil
	}
	filled := strings.ReplaceAll(text, trainconf.RunPlaceholder, string(id))
	if got, err := trainconf.Parse([]byte(filled)); err == nil && got.Equal(want) {
		return filled, nil
	}
	return string(want.TOML()), nil
}

func fillOptions(o run.Options, id run.ID) run.Options {
	fill := func(s string) string { return strings.ReplaceAll(s, trainconf.RunPlaceholder, string(id)) }
	o.Env, o.Args = maps.Clone(o.Env), slices.Clone(o.Args)
	for name, value := range o.Env {
		o.Env[name] = fill(value)
	}
	for i, arg := range o.Args {
		o.Args[i] = fill(arg)
	}
	return o
}

// matches reports whether a stored run came from an equal submission.
func (d draft) matches(stored run.Run) (bool, error) {
	r, err := d.withID(stored.ID)
	if err != nil {
		return false, err
	}
	// What the project sets may have changed since.
	same, err := sameJSON(r.Options.Unassigned(), stored.Options.Unassigned())
	return same && r.Name == stored.Name && r.Config == stored.Config && r.Shape.Unassigned() == stored.Shape.Unassigned(), err
}

// sameJSON compares as stored JSON, where nil and empty are equal.
func sameJSON(a, b any) (bool, error) {
	one, err := json.Marshal(a)
	if err != nil {
		return false, fmt.Errorf("compare: %w", err)
	}
	other, err := json.Marshal(b)
	if err != nil {
		return false, fmt.Errorf("compare: %w", err)
	}
	return bytes.Equal(one, other), nil
}
