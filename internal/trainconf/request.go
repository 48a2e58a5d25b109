package trainconf

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Request is a run as it is being put together. Form, API, command line and sweeps all set fields on it, so that all give
// the same messages. It is a plain value: assignment copies it, and maps and slices of Options are replaced, never changed
// in place.
type Request struct {
	Name    string
	Config  Config
	Shape   run.Shape
	Options run.Options
}

// NewRequest is a request that asks for nothing but the core's defaults, on one node without GPUs.
func NewRequest() Request { return Request{Shape: run.Shape{Nodes: 1}} }

// RequestOf reads a submission. On [run.FieldErrors] the request holds what was understood.
func RequestOf(s run.Submission) (Request, error) {
	cfg, err := Parse([]byte(s.Config))
	return Request{Name: s.Name, Config: cfg, Shape: s.Shape, Options: s.Options}, err
}

// RequestOfRun is the request that would make the same run again; see [AsAsked].
func RequestOfRun(r run.Run) (Request, error) {
	r = AsAsked(r)
	return RequestOf(run.Submission{Name: r.Name, Config: r.Config, Shape: r.Shape, Options: r.Options})
}

// RequestOfTemplate is what a template asks for; it has no name.
func RequestOfTemplate(t run.Template) (Request, error) {
	return RequestOf(run.Submission{Config: t.Config, Shape: t.Shape, Options: t.Options})
}

// RequestOfPreset is what a preset asks for; it has no name.
func RequestOfPreset(p Preset) Request { return Request{Config: p.Config, Shape: p.Shape} }

// Submission is the request as what a new run is made from; the configuration is canonical TOML.
func (r Request) Submission() run.Submission {
	return run.Submission{Name: r.Name, Config: string(r.Config.TOML()), Shape: r.Shape, Options: r.Options}
}

// Set gives a field a value written as text: one of CotrainCore's ("optim.batch_size"), one of [PlacementFields], or "name".
// Empty text unsets it, or sets it to its default. To ask for no GPUs is also to make no demands on them. The error is a
// [run.FieldError], and then nothing has changed.
func (r *Request) Set(field, value string) error {
	if _, core := schemaIndex[field]; core {
		return r.Config.Set(field, value)
	}
	f, ok := Lookup(field)
	if !ok {
		return unknownField(field, value)
	}
	if f.Path == FieldName {
		if bad := ValidateName(value); bad != nil && strings.TrimSpace(value) != "" {
			return *bad
		}
		r.Name = strings.TrimSpace(value)
		return nil
	}
	canonical, err := f.Check(value)
	if err != nil {
		return err
	}
	switch f.Section {
	case "placement", "retries":
		r.place(f, canonical)
	case "watch":
		r.guard(f.Path, canonical)
	default:
		r.equip(f.Path, canonical)
	}
	return nil
}

// Assign is Set for one argument of the form "optim.batch_size=64", as a command line has it.
func (r *Request) Assign(assignment string) error {
	field, value, found := strings.Cut(assignment, "=")
	if !found {
		return fieldError(strings.TrimSpace(assignment), "", "must be of the form field=value", "write optim.batch_size=64, for example")
	}
	return r.Set(strings.TrimSpace(field), value)
}

// unknownField is the error for a name that is no field at all.
func unknownField(field, value string) run.FieldError {
	near := ""
	if len(field) <= maxSuggest && !strings.Contains(field, ".") {
		near = nearestRunField(field)
	}
	if near == "" || otherRunNames[field] == "" && nearestPath(field, false) != "" {
		return unknownPath(field, value, false)
	}
	if fault.NamesSecret(field) {
		value = fault.Hidden
	}
	return fieldError(field, value, "is not a field of a run", "use "+near+", or remove it")
}

// place sets one of the fields of the sections "placement" and "retries" to a canonical text.
func (r *Request) place(f Field, text string) {
	n, _ := strconv.Atoi(text) // canonical; "" is 0
	s, o := &r.Shape, &r.Options
	switch f.Path {
	case "nodes":
		s.Nodes = max(1, n)
	case "gpus":
		if s.GPUs = n; n == 0 {
			s.GPUModel, s.GPUMinMemory = "", 0
		}
	case "gpu_model":
		s.GPUModel = text
	case "gpu_min_memory":
		s.GPUMinMemory = n
	case "cpu":
		s.CPU = n
	case "memory":
		s.Memory = n
	case "site":
		s.Site = text
	case "priority":
		o.Priority = n
	case "max_duration":
		o.MaxDuration, _ = ParseDuration(text)
	case "retries":
		o.Retries = n
	case FieldRetry:
		o.Retry = retryPolicy(text)
	}
}

// guard sets one of the fields of section "watch" to a canonical text.
func (r *Request) guard(field, text string) {
	o := &r.Options
	for name, into := range map[string]*string{"on_hang": &o.OnHang, "on_nan": &o.OnNaN, "on_divergence": &o.OnDivergence, "on_plateau": &o.OnPlateau} {
		if name == field {
			if *into = text; text == run.PolicyAlert {
				*into = ""
			}
		}
	}
	if field == "rollback_lr" {
		if o.RollbackLR, _ = strconv.ParseFloat(text, 64); o.RollbackLR == 1 { // canonical; "" is 0
			o.RollbackLR = 0
		}
	}
}

// equip sets one of the fields of section "run" to a canonical text.
func (r *Request) equip(field, text string) {
	o := &r.Options
	switch field {
	case "description":
		o.Description = text
	case "tags":
		o.Tags = nil
		if text != "" {
			o.Tags = strings.Split(text, ",")
		}
	case "env":
		o.Env = nil
		if env, _ := parseEnvLines(text); len(env) > 0 {
			o.Env = env
		}
	case "args":
		o.Args = splitLines(text)
	case run.SecretsField:
		o.Secrets = nil
		if text != "" {
			o.Secrets = strings.Split(text, ",")
		}
	case "mirror_logs":
		if o.MirrorLogs = text; text == run.MirrorDefault {
			o.MirrorLogs = ""
		}
	}
}

// Get returns a field's canonical text, or "" when it is not set. Numbers of the shape are always set: where they are zero
// it is their default.
func (r Request) Get(field string) string {
	count := func(n int, zero string) string {
		if n == 0 {
			return zero
		}
		return strconv.Itoa(n)
	}
	s, o := r.Shape, r.Options
	switch field {
	case FieldName:
		return r.Name
	case "nodes":
		return count(s.Nodes, "1")
	case "gpus":
		return count(s.GPUs, "0")
	case "gpu_model":
		return s.GPUModel
	case "gpu_min_memory":
		return count(s.GPUMinMemory, "0")
	case "cpu":
		return count(s.CPU, strconv.Itoa(run.DefaultWorkerCPU))
	case "memory":
		return count(s.Memory, strconv.Itoa(run.DefaultWorkerMemory))
	case "site":
		return s.Site
	case "priority":
		return count(o.Priority, "")
	case "retries":
		return count(o.Retries, "")
	case "max_duration":
		if o.MaxDuration == 0 {
			return ""
		}
		return FormatDuration(o.MaxDuration)
	case FieldRetry:
		return o.Retry.String()
	case "on_hang":
		return o.OnHang
	case "on_nan":
		return o.OnNaN
	case "on_divergence":
		return o.OnDivergence
	case "on_plateau":
		return o.OnPlateau
	case "rollback_lr":
		if o.RollbackLR == 0 {
			return ""
		}
		return strconv.FormatFloat(o.RollbackLR, 'g', -1, 64)
	case "description":
		return o.Description
	case "tags":
		return strings.Join(o.Tags, ",")
	case "env":
		return envLines(o.Env)
	case "args":
		return strings.Join(o.Args, "\n")
	case run.SecretsField:
		return strings.Join(o.Secrets, ",")
	case "mirror_logs":
		return o.MirrorLogs
	}
	text, _ := r.Config.Get(field)
	return text
}

// Value is what counts: what [Request.Get] returns, or else the field's default, or else "".
func (r Request) Value(field string) string {
	if text := r.Get(field); text != "" {
		return text
	}
	return r.Default(field)
}

// Default is what counts when the field is not set, "" for nothing.
func (r Request) Default(field string) string {
	if i := placementIndex(field); i >= 0 {
		return placement[i].Default
	}
	return r.Config.Default(field)
}

// Changed reports whether the field has another value than its default.
func (r Request) Changed(field string) bool { return r.Value(field) != r.Default(field) }

// Check finds everything that is wrong with the request and can be told without a cluster: its name, shape and options, and
// the rules between fields, with the environment and the arguments applied as the core applies them. A field gets one
// error. Warnings stop nobody.
func (r Request) Check() (errs, warns run.FieldErrors) {
	if bad := ValidateName(r.Name); bad != nil {
		errs = append(errs, *bad)
	}
	more, warns := r.CheckUnnamed()
	return append(errs, more...), warns
}

// CheckUnnamed is [Request.Check] for what needs no name: a template, a preset, or a configuration that is only looked at.
func (r Request) CheckUnnamed() (errs, warns run.FieldErrors) {
	errs = append(errs, ValidateShape(r.Shape)...)
	errs = append(errs, ValidateOptions(r.Options)...)
	cfg, set, more := r.override()
	errs = append(errs, more...)
	wrong := map[string]bool{}
	for _, e := range errs {
		wrong[e.Field] = true
	}
	bad, warns := cfg.Validate(r.Shape)
	for _, e := range bad {
		if !wrong[e.Field] {
			wrong[e.Field] = true
			errs = append(errs, withSource(e, set))
		}
	}
	warns = slices.DeleteFunc(warns, func(w run.FieldError) bool { return wrong[w.Field] })
	for i := range warns {
		warns[i] = withSource(warns[i], set)
	}
	return errs, append(append(warns, r.optionWarnings()...), r.rollbackWarnings(cfg)...)
}

// EffectiveConfig is the configuration as the core sees it: arguments win over the TOML, and environment wins over both.
// What cannot be applied is left out; [Request.Check] tells it.
func (r Request) EffectiveConfig() Config {
	cfg, _, _ := r.override()
	return cfg
}

// override applies arguments and environment. set holds which of them gave a field its value. Errors are those that
// [ValidateOptions] cannot know of.
func (r Request) override() (cfg Config, set map[string]string, errs run.FieldErrors) {
	cfg = r.Config
	if len(r.Options.Args) == 0 && len(r.Options.Env) == 0 {
		return cfg, nil, nil
	}
	set = map[string]string{}
	args, _ := parseArgs(r.Options.Args[:min(len(r.Options.Args), MaxArgs)])
	for _, a := range args {
		if cfg.Set(a.path, a.value) == nil {
			set[a.path] = a.from + " in args"
		}
	}
	base := cfg
	for _, name := range slices.Sorted(maps.Keys(r.Options.Env)) {
		path, ok := schemaEnv[name]
		value := r.Options.Env[name]
		if !ok || envProblem(name, value) != nil {
			continue
		}
		if p := base.envFits(name, path, value); p != nil {
			errs = append(errs, fieldError("env", shownEnv(name, value), p.rule, p.fix))
			continue
		}
		if cfg.Set(path, value) == nil {
			set[path] = name + " in env"
		}
	}
	return cfg, set, errs
}

// optionalTables are those that the core makes only when the configuration has them; it knows the variables of no others.
var optionalTables = map[string]bool{"diloco": true, "monitor": true, "train.memory_profiler": true, "ckpt.remote": true}

// envFits checks a variable against the configuration that it overrides: the core lists the names that it knows from the
// tables that the configuration has, and refuses to start with any other (config.py, _get_valid_env_vars).
func (c Config) envFits(name, path, value string) *problem {
	f := schema[schemaIndex[path]]
	kind := c.Effective("optim.optim.type")
	switch {
	case optionalTables[f.Table()] && !c.uses(f.Table()):
		return &problem{name + " is known to the core only when the configuration has [" + f.Table() + "]", "set " + path + " in the configuration, and remove it here"}
	case soapOnly(path) && kind != "soap":
		return &problem{name + " is known to the core only with the optimiser soap", "set optim.optim.type to soap in the configuration, or remove it"}
	case path == "optim.optim.type" && value != kind:
		return &problem{name + " cannot change the optimiser, which is " + kind, "set optim.optim.type in the configuration, and remove it here"}
	}
	return nil
}

// withSource says in an error which argument or variable gave a value that the error is about.
func withSource(e run.FieldError, set map[string]string) run.FieldError {
	from, path := set[e.Field], e.Field
	for _, p := range slices.Sorted(maps.Keys(set)) {
		if from == "" && strings.Contains(e.Rule, p) {
			from, path = set[p], p
		}
	}
	if from == "" {
		return e
	}
	if path == e.Field {
		e.Rule += " (the value is that of " + from + ")"
	} else {
		e.Rule += " (" + path + " is that of " + from + ")"
	}
	return e
}

// optionWarnings tells what of the options is allowed and probably not meant.
func (r Request) optionWarnings() run.FieldErrors {
	var warns run.FieldErrors
	for _, name := range slices.Sorted(maps.Keys(r.Options.Env)) {
		if fault.NamesSecret(name) && !strings.HasPrefix(name, envPrefix) && r.Options.Env[name] != "" {
			warns = append(warns, fieldError("env", shownEnv(name, r.Options.Env[name]), name+" looks like a secret, and is stored and shown with the run",
				"have it registered as a secret, and name that in secrets"))
		}
	}
	return warns
}

// rollbackWarnings tells of policies that go back where nothing is saved to go back to.
func (r Request) rollbackWarnings(c Config) run.FieldErrors {
	if c.number("ckpt.interval") > 0 && c.has("ckpt.path") {
		return nil
	}
	var warns run.FieldErrors
	for _, p := range [][2]string{{"on_nan", r.Options.OnNaN}, {"on_divergence", r.Options.OnDivergence}, {"on_plateau", r.Options.OnPlateau}} {
		if p[1] == run.PolicyRollback {
			warns = append(warns, fieldError(p[0], p[1], "there is no checkpoint to go back to: it starts over", "set ckpt.path and ckpt.interval"))
		}
	}
	return warns
}

// AsFieldErrors returns what of err is about fields: all of a [run.FieldErrors], or one [run.FieldError]; nil otherwise.
func AsFieldErrors(err error) run.FieldErrors {
	var all run.FieldErrors
	var one run.FieldError
	switch {
	case errors.As(err, &all):
		return all
	case errors.As(err, &one):
		return run.FieldErrors{one}
	}
	return nil
}
