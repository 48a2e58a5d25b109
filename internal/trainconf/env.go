package trainconf

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// envPrefix begins the variables that override CotrainCore's configuration. Any other variable that begins with it
// makes the core abort its start (config.py, resolve_env_vars).
const envPrefix = "ZERO_BAND_"

// EnvName is the environment variable that overrides a field of CotrainCore: "ZERO_BAND_OPTIM_BATCH_SIZE" for
// optim.batch_size. It is "" for a path that the core does not have.
func EnvName(path string) string {
	if _, ok := schemaIndex[path]; !ok {
		return ""
	}
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// schemaEnv finds a field by its environment variable. Nothing changes it.
var schemaEnv = func() map[string]string {
	out := make(map[string]string, len(schema))
	for i := range schema {
		out[EnvName(schema[i].Path)] = schema[i].Path
	}
	return out
}()

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ownEnv begins the variables that CoTrain or Nomad sets itself.
var ownEnv = [...]string{"GLOBAL_", "NOMAD_", "COTRAIN_"}

// perWorker is what CoTrain gives each worker as an argument of its own. A second value from elsewhere would win over
// it, or make a list of both, with which the core does not start.
var perWorker = map[string]string{
	"data.data_rank":              "CoTrain gives each worker its own",
	"data.data_world_size":        "CoTrain gives each worker its own",
	"ckpt.resume":                 "CoTrain passes the newest checkpoint when a run is tried again",
	"ckpt.live_recovery_rank_src": "CoTrain passes it to workers that join",
}

// ValidateEnv checks environment variables for the trainer: their names and number, that none is CoTrain's own, and
// that each that begins with ZERO_BAND_ is one that the core knows, with a value that its field accepts.
func ValidateEnv(env map[string]string) run.FieldErrors {
	var errs run.FieldErrors
	if n := len(env); n > MaxEnv {
		errs = append(errs, fieldError("env", strconv.Itoa(n)+" variables", fmt.Sprintf("must have at most %d variables", MaxEnv), "remove some"))
	}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(env)) {
		size += len(name) + len(env[name]) + 2
		if p := envProblem(name, env[name]); p != nil && len(errs) < maxFaults {
			errs = append(errs, fieldError("env", shownEnv(name, env[name]), p.rule, p.fix))
		}
	}
	if size > MaxEnvBytes {
		errs = append(errs, fieldError("env", strconv.Itoa(size)+" bytes", fmt.Sprintf("must have at most %d bytes in all", MaxEnvBytes), "shorten the longest values"))
	}
	return errs
}

// shownEnv is a variable as an error shows it: without its value where that may be a secret.
func shownEnv(name, value string) string {
	if fault.NamesSecret(name) && value != "" {
		value = fault.Hidden
	}
	return name + "=" + value
}

func envProblem(name, value string) *problem {
	switch {
	case !envName.MatchString(name):
		return &problem{"must begin with a letter or _ and hold only letters, digits and _", "use a name such as NCCL_DEBUG"}
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return fault.Unseen(r) && r != '\t' }):
		return &problem{name + " must be text on one line without control characters", "remove them"}
	case strings.TrimSpace(value) != value:
		return &problem{name + " must not begin or end with white space", "use " + strconv.Quote(strings.TrimSpace(value))}
	}
	if p := ownNameProblem(name); p != nil {
		return p
	}
	if !strings.HasPrefix(name, envPrefix) {
		return nil
	}
	path, ok := schemaEnv[name]
	if !ok {
		fix := "remove it"
		if near := nearestEnv(name); near != "" {
			fix = "use " + near + ", or remove it"
		}
		return &problem{name + " is not known to CotrainCore, which refuses to start with any other name that begins with " + envPrefix, fix}
	}
	if why := perWorker[path]; why != "" {
		return &problem{name + " would win over what each worker is given: " + why, "remove it"}
	}
	return overrideProblem(name, path, value)
}

// SecretEnvProblem is what is wrong with the environment variable that a secret becomes, nil for nothing: as with those of runs, the core
// refuses to start with some, and others are set already.
func SecretEnvProblem(name string) *run.FieldError {
	p := ownNameProblem(name)
	if _, known := schemaEnv[name]; p == nil && strings.HasPrefix(name, envPrefix) && !known {
		p = &problem{name + " is not known to CotrainCore, which refuses to start with any other name that begins with " + envPrefix, "use " + EnvName("monitor.auth_token") + ", or another name"}
	}
	if p == nil {
		return nil
	}
	bad := fieldError("env", name, p.rule, p.fix)
	return &bad
}

func ownNameProblem(name string) *problem {
	for _, prefix := range ownEnv {
		if strings.HasPrefix(name, prefix) {
			return &problem{name + " is set by CoTrain or Nomad: names must not begin with " + prefix, "remove it"}
		}
	}
	return nil
}

// overrideProblem checks a value that overrides a field from outside of the TOML, where the core reads it from text.
func overrideProblem(name, path, value string) *problem {
	f := schema[schemaIndex[path]]
	if f.Secret {
		return &problem{name + " is a secret, which would be stored with the run", "have it registered as a secret for " + EnvName(path) + ", and name that in secrets"}
	}
	canonical, p := f.canonical(value)
	switch {
	case p != nil:
		return &problem{name + " " + p.rule, p.fix}
	case canonical == "":
		return &problem{name + " is empty, and must be " + f.Rule(), "use " + f.Example() + ", or remove it"}
	}
	switch f.Type { // the core does not read everything that a form does
	case Int, IntOrBool, StringList, Ratio, String, Choice:
		if _, err := strconv.ParseInt(value, 10, 64); err != nil && canonical != value {
			return &problem{name + " is not written as the core reads it", "use " + canonical}
		}
	}
	return nil
}

// parseEnvLines reads NAME=VALUE lines.
func parseEnvLines(text string) (map[string]string, *problem) {
	env := map[string]string{}
	for i, line := range splitLines(text) {
		name, value, found := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found {
			return nil, &problem{fmt.Sprintf("has a line %d that is not of the form NAME=VALUE", i+1), "write NCCL_DEBUG=INFO, for example"}
		}
		if _, twice := env[name]; twice {
			return nil, &problem{fault.Quote(name) + " is set twice", "remove one of them"}
		}
		env[name] = value
	}
	return env, nil
}

// envLines writes variables as NAME=VALUE lines, sorted by name.
func envLines(env map[string]string) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(env)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(name + "=" + env[name])
	}
	return b.String()
}
