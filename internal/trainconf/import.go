package trainconf

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Imported is what [Import] made of a text.
type Imported struct {
	Request    Request // what was understood, on one node without GPUs where nothing is said of them
	Understood []Line  // Why is the field, or what else was set
	Ignored    []Line  // Why is the reason
	Errors     run.FieldErrors
	Invalid    run.FieldErrors // why the request is not valid as it stands; nil while there are Errors
	Secrets    []SecretFound
}

// Line is a line of a text, or the part of one that something is said of. Secrets in it are hidden.
type Line struct {
	Number int // counted from 1
	Text   string
	Why    string
	Doubt  string // of a value that was taken although the script may not set it, "" for none
}

// SecretFound is a secret that was taken out of a text. The worker needs it as an environment variable, which a registered
// secret becomes.
type SecretFound struct {
	Field string // "monitor.auth_token", or "env" for a variable
	Line  int
	Env   string // "ZERO_BAND_MONITOR_AUTH_TOKEN"
	Name  string // of the registered secret for it; see [Imported.UseSecrets]
}

// UseSecrets has the request ask for the first of these registered secrets that each one found needs.
func (im *Imported) UseSecrets(usable []run.Secret) {
	names := slices.Clone(im.Request.Options.Secrets)
	for i := range im.Secrets {
		found := &im.Secrets[i]
		j := slices.IndexFunc(usable, func(s run.Secret) bool { return s.Env == found.Env })
		if j < 0 || len(names) == run.MaxSecrets {
			continue
		}
		found.Name = usable[j].Name
		names = append(names, found.Name)
	}
	slices.Sort(names)
	im.Request.Options.Secrets = slices.Compact(names)
}

// Bounds of an import, beside [MaxTOML].
const (
	maxImportLines = 5000 // lines of the text
	maxListed      = 1000 // entries of Understood and of Ignored
	maxSyntax      = 8    // lines that are not TOML, after which the rest is not read
)

// Import reads what a person pastes: CotrainCore's TOML, with lines of a shell, a .env file or a docker command among it that
// set ZERO_BAND_ variables or call torchrun with arguments. Arguments win over the TOML and variables over both, as in the
// core. Secrets are taken out, and appear in nothing that is returned.
func Import(text []byte) Imported {
	text = bytes.TrimPrefix(text, byteOrderMark)
	im := &importer{out: Imported{Request: NewRequest()}}
	switch {
	case len(text) > MaxTOML:
		im.fail(0, FieldConfig, strconv.Itoa(len(text))+" bytes", fmt.Sprintf("must be at most %d bytes", MaxTOML), "paste less")
	case bytes.Count(text, []byte("\n")) >= maxImportLines:
		im.fail(0, FieldConfig, "", fmt.Sprintf("must have at most %d lines", maxImportLines), "paste less")
	case !utf8.Valid(text):
		im.fail(0, FieldConfig, "", "must be UTF-8 text", "save the file as UTF-8")
	default:
		im.read(strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"))
	}
	im.out.Errors = sortedFaults(im.faults)
	if len(im.out.Errors) == 0 { // rules between fields mean little while some could not be read
		im.out.Invalid, _ = im.out.Request.CheckUnnamed()
	}
	return im.out
}

// importer collects what is found.
type importer struct {
	lines     []string
	out       Imported
	faults    []lineFault
	hidden    map[int]bool    // lines that are part of a secret, counted from 1
	starts    []int           // for each line of TOML, the one that its statement begins at, counted from 0
	files     map[string]bool // that the script writes a configuration to
	flow      flow
	doubts    map[int]string // by line, of the commands that the shell may pass over
	lastStart int            // the last line that starts the trainer, 0 for none
	args      []found
	env       []found
}

// found is a value for a field or a variable, and where.
type found struct {
	name, value string
	line        int
	text        string // as it was written
}

func (im *importer) fail(line int, field, value, rule, fix string) {
	im.faults = append(im.faults, lineFault{line, fieldError(field, value, where(line)+rule, fix)})
}

func (im *importer) understood(line int, text, why string) {
	if len(im.out.Understood) < maxListed {
		im.out.Understood = append(im.out.Understood, Line{Number: line, Text: fault.Quote(text), Why: why, Doubt: im.doubts[line]})
	}
}

func (im *importer) ignored(line int, text, why string) {
	if len(im.out.Ignored) < maxListed {
		im.out.Ignored = append(im.out.Ignored, Line{Number: line, Text: fault.Quote(text), Why: why})
	}
}

// read does all the work: it tells the lines apart, and applies TOML, arguments and variables in the order in which the core
// does.
func (im *importer) read(lines []string) {
	im.lines, im.hidden, im.files, im.doubts = lines, map[int]bool{}, map[string]bool{}, map[int]string{}
	im.toml(im.split())
	for _, a := range im.args {
		im.argument(a)
	}
	for _, v := range im.env {
		im.variable(v)
	}
	byLine := func(a, b Line) int { return cmp.Compare(a.Number, b.Number) }
	slices.SortStableFunc(im.out.Understood, byLine)
	slices.SortStableFunc(im.out.Ignored, byLine)
}

// toml reads the lines that are TOML; the others are empty. A statement that is not TOML after all is
// told, and left out.
func (im *importer) toml(lines []string) {
	var d decoder
	for range maxSyntax {
		data := []byte(strings.Join(lines, "\n"))
		if f := checkFile(data); f != nil {
			im.faults = append(im.faults, lineFault{0, *f})
			return
		}
		var syntax *lineFault
		if d, syntax = decode(data, true); syntax == nil {
			break
		}
		im.syntax(syntax)
		i := syntax.line - 1
		if i < 0 || i >= len(lines) || lines[i] == "" {
			return
		}
		if m := headerForm.FindStringSubmatch(lines[i]); m != nil && strings.TrimSpace(lines[i]) != "["+m[1]+"]" {
			lines[i] = "[" + m[1] + "]" // so that what follows is not taken for another table's
			continue
		}
		for start, j := im.starts[i], im.starts[i]; j < len(lines) && im.starts[j] == start; j++ {
			lines[j] = ""
		}
	}
	cfg, at := d.cfg, d.lines
	im.faults = append(im.faults, d.faults...)
	im.takeSecret(&cfg, at)
	im.out.Request.Config = cfg
	byLine := map[int][]string{}
	for i := range schema {
		if path := schema[i].Path; cfg.has(path) && at[path] > 0 {
			byLine[at[path]] = append(byLine[at[path]], path)
		}
	}
	for line, paths := range byLine {
		im.understood(line, im.show(line), strings.Join(paths, ", "))
	}
}

// syntax reports a line that is not TOML. What the library says repeats the line, of which nothing may be shown where it is
// part of a secret.
func (im *importer) syntax(f *lineFault) {
	if im.hidden[f.line] {
		f.fault = fieldError(FieldConfig, "", where(f.line)+"is not TOML", "correct that line")
	}
	im.faults = append(im.faults, *f)
}

// takeSecret takes auth_token out of the configuration.
func (im *importer) takeSecret(cfg *Config, at map[string]int) {
	for i := range schema {
		f := &schema[i]
		if !f.Secret || !cfg.has(f.Path) {
			continue
		}
		cfg.values[i] = ""
		im.secret(cfg, f.Path, at[f.Path], im.show(at[f.Path]))
	}
}

// secret notes a secret field. The core knows the variable of a field only when the configuration has its table, so the
// table must stay.
func (im *importer) secret(cfg *Config, path string, line int, text string) {
	f := schema[schemaIndex[path]]
	if !cfg.uses(f.Table()) {
		for i := range schema {
			if schema[i].Table() == f.Table() && schema[i].Default != "" {
				cfg.values[i] = schema[i].Default
				break
			}
		}
	}
	im.reference(path, EnvName(path), line)
	im.understood(line, text, path+", taken out: a secret")
}

// reference notes which variable a worker needs.
func (im *importer) reference(field, env string, line int) {
	known := func(s SecretFound) bool { return s.Env == env }
	if !slices.ContainsFunc(im.out.Secrets, known) && len(im.out.Secrets) < MaxEnv {
		im.out.Secrets = append(im.out.Secrets, SecretFound{Field: field, Line: line, Env: env})
	}
}

// show is a line of the text without its secrets.
func (im *importer) show(number int) string {
	if number < 1 || number > len(im.lines) {
		return ""
	}
	line := strings.TrimSpace(im.lines[number-1])
	if !im.hidden[number] && !fault.NamesSecret(line) {
		return line
	}
	key, _, found := strings.Cut(line, "=")
	if !found || len(key) > 100 || strings.ContainsAny(key, `"'`) || im.hidden[number] && !fault.NamesSecret(key) {
		return fault.Hidden
	}
	return strings.TrimSpace(key) + " = " + fault.Hidden
}

// argument sets a field from an argument of the trainer.
func (im *importer) argument(a found) {
	path := strings.ReplaceAll(a.name, "-", "_")
	shown := a.text
	if fault.NamesSecret(path) {
		shown = "--" + path + " " + fault.Hidden
	}
	i, known := schemaIndex[path]
	switch {
	case !known:
		f := unknownPath(path, a.value, false)
		im.fail(a.line, path, f.Value, f.Rule, f.Fix)
	case schema[i].Secret:
		im.secret(&im.out.Request.Config, path, a.line, shown)
	case perWorker[path] != "" && path != "ckpt.resume":
		im.ignored(a.line, shown, perWorker[path])
	default:
		im.set(path, a, shown)
	}
}

func (im *importer) set(path string, a found, shown string) {
	f := schema[schemaIndex[path]]
	canonical, p := f.canonical(a.value)
	if p == nil && canonical == "" {
		p = &problem{"is empty, and must be " + f.Rule(), "use " + f.Example() + ", or remove it"}
	}
	if p != nil {
		im.fail(a.line, path, f.shown(a.value), p.rule, p.fix)
		return
	}
	im.out.Request.Config.values[schemaIndex[path]] = canonical
	im.understood(a.line, shown, path)
}

// variable takes an environment variable: a field of the core, the number of nodes, or more environment of the trainer.
func (im *importer) variable(v found) {
	path, known := schemaEnv[v.name]
	shown := shownEnv(v.name, v.value)
	switch {
	case known && schema[schemaIndex[path]].Secret:
		im.secret(&im.out.Request.Config, path, v.line, shown)
	case known && perWorker[path] != "" && path != "ckpt.resume":
		im.ignored(v.line, shown, perWorker[path])
	case known:
		im.set(path, v, shown)
	case strings.HasPrefix(v.name, envPrefix):
		why := "is not known to CotrainCore, which would refuse to start with it"
		if close := nearestEnv(v.name); close != "" {
			_, value, _ := strings.Cut(shown, "=")
			im.fail(v.line, v.name, value, why, "use "+close+", or remove it")
		} else {
			im.ignored(v.line, shown, v.name+" "+why)
		}
	case v.name == "GLOBAL_WORLD_SIZE":
		im.place("nodes", v, shown)
	case fault.NamesSecret(v.name):
		if v.value != "" {
			im.reference("env", v.name, v.line)
			im.understood(v.line, shown, v.name+", taken out: a secret")
		}
	default:
		im.extra(v, shown)
	}
}

// place sets a number of the shape.
func (im *importer) place(field string, v found, shown string) {
	if err := im.out.Request.Set(field, v.value); err != nil {
		im.ignored(v.line, shown, AsFieldErrors(err)[0].Rule)
		return
	}
	im.understood(v.line, shown, field)
}

// launcherEnv is what torchrun and CoTrain set for each process.
var launcherEnv = map[string]bool{"RANK": true, "LOCAL_RANK": true, "WORLD_SIZE": true, "LOCAL_WORLD_SIZE": true, "MASTER_ADDR": true,
	"MASTER_PORT": true, "CUDA_VISIBLE_DEVICES": true}

// extra keeps a variable that is not the core's.
func (im *importer) extra(v found, shown string) {
	if launcherEnv[v.name] {
		im.ignored(v.line, shown, "CoTrain or torchrun sets it for each worker")
		return
	}
	if len(im.out.Request.Options.Env) >= MaxEnv {
		im.ignored(v.line, shown, fmt.Sprintf("is one too many: a run has at most %d variables", MaxEnv))
		return
	}
	env := map[string]string{v.name: v.value}
	for name, value := range im.out.Request.Options.Env {
		if name != v.name {
			env[name] = value
		}
	}
	if errs := ValidateEnv(env); len(errs) > 0 {
		im.ignored(v.line, shown, errs[0].Rule)
		return
	}
	im.out.Request.Options.Env = env
	im.understood(v.line, shown, "env")
}
