package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// EnvFile is the variable that names the configuration file; --config overrides it.
const EnvFile = "COTRAIN_CONFIG"

// maxSecret is in bytes, for secrets from files.
const maxSecret = 16 << 10

// Flags are the given flags by their setting's key: "listen", "nomad.ca_cert", "nomad.token_file". "config" names the
// configuration file.
type Flags map[string]string

// Load builds the configuration: flags override variables, which override the file, which overrides defaults; empty
// flags and variables count as absent. All problems are returned at once, as [run.FieldErrors] whose fields name the
// source. Values that are in Vault are not there yet: see [Config.References].
func Load(flags Flags, environ func(string) (string, bool), readFile func(string) ([]byte, error)) (Config, error) {
	l := newLoader(environ, readFile)
	settings := Settings()
	for _, s := range settings {
		l.setText(s, s.Default, "default of "+s.Key)
	}
	clear(l.from)
	if name, source := configFile(flags, environ); name != "" {
		l.loadFile(name, source, settings)
	}
	for _, s := range settings {
		value, _ := environ(s.Env)
		if !s.Secret {
			l.setText(s, value, s.Env)
			continue
		}
		file, _ := environ(s.Env + "_FILE")
		l.setSecretOrFile(s, value, s.Env, file, s.Env+"_FILE")
	}
	l.loadFlags(flags, settings)
	if len(l.refs) == 0 {
		return l.finish()
	}
	if errs := l.all(); len(errs) > 0 {
		return Config{}, errs
	}
	cfg := l.cfg
	cfg.unresolved = l
	return cfg, nil
}

// finish checks the settings together.
func (l *loader) finish() (Config, error) {
	l.crossCheck()
	if errs := l.all(); len(errs) > 0 {
		return Config{}, errs
	}
	return l.cfg, nil
}

func (l *loader) all() run.FieldErrors {
	if l.cfg.Dev {
		return l.errs
	}
	return slices.Concat(l.errs, l.nomadErrs)
}

func configFile(flags Flags, environ func(string) (string, bool)) (name, source string) {
	if name := flags["config"]; name != "" {
		return name, "--config"
	}
	name, _ = environ(EnvFile)
	return name, EnvFile
}

type origin struct {
	source string // as a person knows it: "--listen", "NOMAD_ADDR", "cotrain.toml: listen"
	value  string
}

type loader struct {
	cfg     Config
	environ func(string) (string, bool)
	read    func(string) ([]byte, error)
	from    map[string]origin  // by key, where set; of secrets also where refused
	refs    map[string]pending // by key
	refused map[string]bool    // by key, where what was given is none: nothing further is said of its absence
	errs    run.FieldErrors
	// nomadErrs are about reaching Nomad, and Consul for it. Dev drops them: a variable left over in a shell must not stop the embedded
	// agent.
	nomadErrs run.FieldErrors
}

func newLoader(environ func(string) (string, bool), readFile func(string) ([]byte, error)) *loader {
	return &loader{environ: environ, read: readFile, from: map[string]origin{}, refs: map[string]pending{}, refused: map[string]bool{}}
}

// fail adds a problem; the value is cut to 200 bytes.
func (l *loader) fail(key, source, value, rule, fix string) {
	errs := &l.errs
	if strings.HasPrefix(key, "nomad.") || strings.HasPrefix(key, "consul.") {
		errs = &l.nomadErrs
	}
	*errs = append(*errs, run.FieldError{Field: fault.Quote(source), Value: fault.Quote(value), Rule: rule, Fix: fix})
}

// setText sets a setting from text; empty text changes nothing.
func (l *loader) setText(s Setting, value, source string) {
	if strings.TrimSpace(value) == "" {
		return
	}
	if isRef(value) {
		l.refer(s, value, source)
		return
	}
	typed, p := s.kind.parse(value)
	if p != nil {
		l.refused[s.Key] = true
		l.fail(s.Key, source, value, p.rule, p.fix)
		return
	}
	l.setTyped(s, typed, value, source)
}

func (l *loader) setTyped(s Setting, typed any, shown, source string) {
	if p := s.set(&l.cfg, typed); p != nil {
		if p.hide {
			shown = hiddenSecret
		}
		l.refused[s.Key] = true
		l.fail(s.Key, source, shown, p.rule, p.fix)
		return
	}
	l.from[s.Key] = origin{source, shown}
	delete(l.refs, s.Key)
}

// setSecretOrFile sets a secret from one of its value and a file that holds it.
func (l *loader) setSecretOrFile(s Setting, value, source, file, fileSource string) {
	if value != "" && file != "" {
		l.fail(s.Key, fileSource, shownPath(file), "must not be set together with "+source, "unset one of them")
		l.from[s.Key] = origin{source, hiddenSecret}
		return
	}
	l.setSecret(s, value, source)
	l.setSecretFile(s, file, fileSource)
}

// setSecret sets a secret, which errors never repeat.
func (l *loader) setSecret(s Setting, value, source string) {
	if value == "" {
		return
	}
	if isRef(value) {
		l.refer(s, value, source)
		return
	}
	l.from[s.Key] = origin{source, hiddenSecret}
	delete(l.refs, s.Key)
	value = strings.TrimSpace(value)
	if value == "" || len(value) > maxSecret || line(value) != nil {
		l.fail(s.Key, source, hiddenSecret, "must be one line of text", "check what it holds")
		return
	}
	if p := s.set(&l.cfg, value); p != nil {
		l.fail(s.Key, source, hiddenSecret, p.rule, p.fix)
	}
}

// opened returns the value of a secret given where others can read it, or "" if it must not stand there.
func (l *loader) opened(s Setting, value, source string) string {
	value = strings.TrimSpace(value)
	if isRef(value) {
		return value // no secret itself
	}
	if value == "" || s.open == nil {
		return ""
	}
	if p := s.open(value); p != nil {
		l.from[s.Key] = origin{source, hiddenSecret}
		l.fail(s.Key, source, hiddenSecret, p.rule, p.fix)
		return ""
	}
	return value
}

// setSecretFile sets a secret from a file with nothing else in it.
func (l *loader) setSecretFile(s Setting, name, source string) {
	if name == "" {
		return
	}
	l.from[s.Key] = origin{source, hiddenSecret}
	shown := shownPath(name)
	data, err := l.read(name)
	switch {
	case err != nil:
		l.fail(s.Key, source, shown, "names a file that cannot be read: "+reason(err), "correct the path or the file's mode, or give the secret itself with "+s.Env)
	case len(strings.TrimSpace(string(data))) == 0:
		l.fail(s.Key, source, shown, "names a file that is empty", "put the secret in it, on one line")
	case len(data) > maxSecret || line(strings.TrimSpace(string(data))) != nil:
		l.fail(s.Key, source, shown, "names a file that does not hold just one line of text", "put the secret in it, on one line")
	default:
		l.setSecret(s, string(data), source)
	}
}

// shownPath is a secret's file as errors show it: what does not look like a path may be the secret itself.
func shownPath(name string) string {
	if !strings.Contains(name, "/") || strings.ContainsAny(name, "@?") || strings.Contains(name, "://") {
		return hiddenSecret
	}
	return name
}

// reason is why a file could not be read, without its path.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return fault.Quote(err.Error())
}

func (l *loader) loadFlags(flags Flags, settings []Setting) {
	known := map[string]bool{"config": true}
	for _, s := range settings {
		for _, key := range s.Keys() {
			known[key] = true
		}
		if !s.Secret {
			l.setText(s, flags[s.Key], s.Flag())
			continue
		}
		l.setSecretOrFile(s, l.opened(s, flags[s.Key], s.Flag()), s.Flag(), flags[s.Key+"_file"], s.Flag()+"-file")
	}
	unknown := []string{}
	for key := range flags {
		if !known[key] {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	for _, key := range unknown {
		l.fail("", Setting{Key: key}.Flag(), "", "is not a flag that sets anything", "remove it")
	}
}

// crossCheck checks rules between settings, and that needed files exist.
func (l *loader) crossCheck() {
	n := l.cfg.Nomad
	l.pair("nomad.client_cert", "NOMAD_CLIENT_CERT", n.ClientCert, "nomad.client_key", "NOMAD_CLIENT_KEY", n.ClientKey)
	for _, key := range []string{"nomad.ca_cert", "nomad.client_cert", "nomad.client_key", "job.file"} {
		l.readable(key)
	}
	l.consul()
	l.transport()
	l.logIn()
	l.database()
	l.logs()
	if s := &l.cfg.Storage; s.Path == "" && l.cfg.Dev {
		s.Path = filepath.Join(l.cfg.DataDir, "storage")
	}
	if s := l.cfg.Storage; s.Volume != "" && s.Path == "" && s.Mount == "" {
		o := l.from["storage.volume"]
		l.fail("storage.volume", o.source, o.value, "needs storage.mount (COTRAIN_STORAGE_MOUNT), where trainers see it", "set it, to /srv/cotrain for example")
	}
	if needsImage(l.cfg.Job.Driver) && l.cfg.Job.Image == "" {
		o := l.from["job.driver"]
		l.fail("job.driver", o.source, o.value, "runs containers and needs job.image (COTRAIN_JOB_IMAGE)", "set the image that holds your build of CotrainCore")
	}
}

func needsImage(driver string) bool { return driver == "docker" || driver == "podman" }

func (l *loader) readable(key string) {
	o, set := l.from[key]
	if !set {
		return
	}
	if _, err := l.read(o.value); err != nil {
		l.fail(key, o.source, o.value, "names a file that cannot be read: "+reason(err), "correct the path or the file's mode")
	}
}

func (k kind) parse(s string) (any, *problem) {
	trimmed := strings.TrimSpace(s)
	switch k {
	case number:
		n, err := strconv.Atoi(trimmed)
		if err != nil {
			return nil, broken("must be a whole number", "use 1, for example")
		}
		return n, nil
	case boolean:
		switch strings.ToLower(trimmed) {
		case "true", "1", "yes", "on", "t":
			return true, nil
		case "false", "0", "no", "off", "f":
			return false, nil
		}
		return nil, broken("must be true or false", "use true")
	case duration:
		d, err := time.ParseDuration(trimmed)
		if err != nil {
			return nil, broken("must be a duration with its unit", "use 60s, for example")
		}
		return d, nil
	case list:
		texts := strings.Split(trimmed, ",")
		for i := range texts {
			texts[i] = strings.TrimSpace(texts[i])
		}
		return texts, nil
	case command:
		return strings.Fields(trimmed), nil
	case lines:
		return strings.FieldsFunc(trimmed, func(r rune) bool { return r == '\n' || r == '\r' }), nil
	}
	return trimmed, nil
}

func (k kind) String() string {
	switch k {
	case number:
		return "a whole number"
	case boolean:
		return "true or false"
	case duration:
		return `a duration in quotes, such as "60s"`
	case list, command, lines:
		return "a list of texts"
	}
	return "text in quotes"
}
