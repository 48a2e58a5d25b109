package trainconf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// Reasons for which a part of a shell is ignored.
const (
	notAnySetting  = "is neither configuration nor a variable or an argument of the core"
	onlyShellKnows = "holds what only the shell knows"
	setForWorkers  = "CoTrain sets it for each worker"
	notAnArgument  = "is not an argument of the core"
)

var (
	shellAssign = regexp.MustCompile(`^["']?([A-Za-z_][A-Za-z0-9_]*)["']?\+?=((?s:.*))$`)
	envColon    = regexp.MustCompile(`^\s*(?:-\s+)?["']?([A-Z_][A-Z0-9_]*)["']?(?::\s+("[^"]*"|'[^']*'|\S+)\s*(?:#.*)?|(?:\s+=\s*|=\s+)(.*))$`)
	flagName    = regexp.MustCompile(`^--[A-Za-z0-9_][A-Za-z0-9_.-]*(?:=|$)`)
	// trainerWord is a word of a command that starts the trainer.
	trainerWord = regexp.MustCompile(`^(?:\S*/)?(?:torchrun|python[0-9.]*|accelerate|\S+\.py)$|^torch\.distributed\.|^@\S`)
	// passesOn is what may stand before the assignments that begin a command; the exporters make them its environment.
	passesOn  = regexp.MustCompile(`^(?:-.*|\$|!|\{|\S+@\S+[$#]|if|then|elif|else|do|while|until|sudo|nohup|time|exec|command|RUN|ARG|local|readonly)$`)
	exporters = regexp.MustCompile(`^(?:export|env|set|setx|declare|typeset|ENV|-)$`)
	// runsLines takes a here-document for commands or for a file of variables.
	runsLines = regexp.MustCompile(`^(?:\S*/)?(?:bash|sh|zsh|ssh|sbatch|srun|tee|cat)$`)
	// teeForm is the command that writes what it reads to the file named next.
	teeForm = regexp.MustCompile(`^(?:\S*/)?tee$`)
	// privateText is what a line may say a secret with, beside the names that [fault.NamesSecret] knows.
	privateText = regexp.MustCompile(`(?i)\b(?:login|bearer|authorization|sshpass|pwd)\b|://[^/@\s]+@`)
)

// command reads one command, or several with operators between them.
func (im *importer) command(s statement) {
	count := func() int {
		return len(im.args) + len(im.env) + len(im.out.Ignored) + len(im.out.Understood) + len(im.faults)
	}
	before := count()
	if s.file != "" {
		im.understood(s.first+1, im.showShell(s.first+1), "the configuration in "+s.file)
	}
	trains, open := slices.ContainsFunc(s.words, startsTrainer), 0
	for words := s.words; len(words) > 0; {
		n := slices.IndexFunc(words, func(w word) bool { return w.end != 0 })
		end := words[n].end
		label := end == ')' && open == 0 // of a case
		switch end {
		case '(':
			open++
		case ')':
			open = max(0, open-1)
		}
		if doubt := im.flow.see(words[:n], end); doubt != "" {
			for _, w := range words[:n] {
				im.doubts[w.line] = doubt
			}
		}
		if n > 0 && !label {
			im.words(words[:n], trains, end == '>')
		}
		words = words[n+1:]
	}
	if count() == before {
		im.ignored(s.first+1, im.showShell(s.first+1), notAnySetting)
	}
}

// showShell is a line of a shell without its secrets.
func (im *importer) showShell(number int) string {
	line := strings.TrimSpace(im.lines[number-1])
	if im.hidden[number] || fault.NamesSecret(line) || privateText.MatchString(line) {
		return fault.Hidden
	}
	return line
}

// runs reports whether a command takes a here-document for lines of a shell or of a .env file, rather than for text that is
// shown.
func runs(command []word) bool {
	written := slices.ContainsFunc(command, func(w word) bool { return w.end == '>' || w.end == '|' })
	i := slices.IndexFunc(command, func(w word) bool { return runsLines.MatchString(w.text) })
	return i >= 0 && (written || !strings.HasSuffix(command[i].text, "cat"))
}

// writtenTo is the file that a command writes what it reads to, "" for none.
func writtenTo(command []word) string {
	for i, w := range command[:max(0, len(command)-1)] {
		next := command[i+1]
		if next.end == 0 && (w.end == '>' || teeForm.MatchString(w.text) && !strings.HasPrefix(next.text, "-")) {
			return next.text
		}
	}
	return ""
}

// asCommand writes NAME: value and NAME = value, which files of variables have, as a shell does.
func asCommand(line string) string {
	if m := envColon.FindStringSubmatch(line); m != nil {
		return m[1] + "=" + strings.TrimSpace(m[2]+m[3])
	}
	return line
}

// words takes the words of one command. Arguments that have no section are the core's only if the command trains.
func (im *importer) words(words []word, trains, written bool) {
	first := words[0].text
	if (first == "echo" || first == "printf") && !written {
		return
	}
	if first == "unset" {
		im.unset(words[1:])
		return
	}
	trains = trains || strings.HasPrefix(first, "--") || first == "-m"
	leading, exported := true, false
	var assigned []word
	for i := 0; i < len(words); i++ {
		w := words[i]
		m := shellAssign.FindStringSubmatch(w.text)
		switch {
		case m != nil && (leading || written || strings.HasPrefix(m[1], envPrefix)):
			assigned = append(assigned, w)
		case (w.text == "-e" || w.text == "--env") && i+1 < len(words):
			i++
			im.assign(words[i], words[i].text, true)
		case strings.HasPrefix(w.text, "--env="):
			im.assign(w, strings.TrimPrefix(w.text, "--env="), true)
		case strings.HasPrefix(w.text, "-e") && shellAssign.MatchString(w.text[2:]):
			im.assign(w, w.text[2:], true)
		case flagName.MatchString(w.text):
			i += im.flag(w, words[i+1:], trains)
		case strings.HasPrefix(w.text, "@") && im.files[w.text[1:]]:
			im.understood(w.line, w.text, "the configuration that the script writes")
		case strings.HasPrefix(w.text, "@") && len(w.text) > 1:
			im.ignored(w.line, w.text, "names a file: paste what it holds as well")
		case exporters.MatchString(w.text):
			leading, exported = true, true
		case !passesOn.MatchString(w.text):
			leading, exported = false, true
		}
	}
	for _, w := range assigned {
		im.assign(w, w.text, exported)
	}
}

func startsTrainer(w word) bool { return trainerWord.MatchString(w.text) }

// unset takes variables away that were set before; the trainer still has them when it has started by then.
func (im *importer) unset(names []word) {
	for _, w := range names {
		if w.text == "-f" || im.lastStart > 0 && w.line > im.lastStart {
			return
		}
		im.env = slices.DeleteFunc(im.env, func(v found) bool {
			if v.name == w.text {
				im.ignored(v.line, shownAssignment(v.name, v.value), "is unset again on line "+strconv.Itoa(w.line))
				im.understood(w.line, "unset "+w.text, w.text)
			}
			return v.name == w.text
		})
	}
}

// assign takes NAME=VALUE.
func (im *importer) assign(w word, text string, exported bool) {
	m := shellAssign.FindStringSubmatch(text)
	if m == nil {
		if envName.MatchString(text) {
			im.ignored(w.line, text, "takes its value from the shell, which is not known here")
		}
		return
	}
	name, value := m[1], m[2]
	shown := shownAssignment(name, value)
	switch {
	case setElsewhere(name):
		im.ignored(w.line, shown, setForWorkers)
	case !exported && strings.ToUpper(name) != name:
		im.ignored(w.line, shown, "is a variable of the script, and no setting")
	case w.expands && !fault.NamesSecret(name): // of a secret the value does not matter
		im.ignored(w.line, shown, onlyShellKnows)
	case strings.HasSuffix(shown, "="+fault.Hidden) && !fault.NamesSecret(name) && schemaEnv[name] == "":
		im.ignored(w.line, shown, "seems to hold a secret: have it registered, and name it in secrets")
	default:
		im.env = append(im.env, found{name, value, w.line, text})
	}
}

// shownAssignment is NAME=VALUE without a secret.
func shownAssignment(name, value string) string {
	if fault.NamesSecret(value) && strings.ContainsAny(value, " =:") || privateText.MatchString(value) {
		return name + "=" + fault.Hidden // a command or an address with a secret in it
	}
	return shownEnv(name, value)
}

// setElsewhere reports variables that CoTrain or Nomad sets, but for the one that says how many workers there are.
func setElsewhere(name string) bool {
	if name == "GLOBAL_WORLD_SIZE" {
		return false
	}
	return slices.ContainsFunc(ownEnv[:], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// launcherFlags are torchrun's, with whether they take a value.
var launcherFlags = map[string]bool{"nproc_per_node": true, "nnodes": true, "node_rank": true, "rdzv_endpoint": true, "rdzv_backend": true, "rdzv_id": true,
	"rdzv_conf": true, "master_addr": true, "master_port": true, "standalone": false, "max_restarts": true, "monitor_interval": true, "start_method": true,
	"role": true, "log_dir": true, "redirects": true, "tee": true, "local_addr": true, "no_python": false, "module": false, "run_path": false}

// flag takes an argument that begins with --, and returns how many of the words after it belong to it.
func (im *importer) flag(w word, rest []word, trains bool) int {
	name, value, joined := strings.Cut(strings.TrimPrefix(w.text, "--"), "=")
	negated := strings.HasPrefix(name, "no-")
	plain := strings.ReplaceAll(name, "-", "_")
	path := strings.TrimPrefix(plain, "no_")
	takes, launcher := launcherFlags[plain]
	if !strings.Contains(path, ".") && !trains {
		return 0
	}
	used, expands := 0, w.expands
	if !joined && len(rest) > 0 && !strings.HasPrefix(rest[0].text, "--") && (!launcher || takes) && !negated {
		value, joined, used = rest[0].text, true, 1
		expands = expands || rest[0].expands
	}
	text := "--" + name
	if joined {
		text += " " + value
	}
	if fault.NamesSecret(name) {
		text = "--" + name + " " + fault.Hidden
	}
	_, known := schemaIndex[path]
	switch {
	case launcher:
		im.launcherFlag(plain, found{plain, value, w.line, text}, expands)
	case !known && (len(im.out.Ignored) >= maxListed || !ofCore(path)):
		// Of docker, uv or whatever else stands before the trainer: what follows may be its next word.
		im.ignored(w.line, "--"+name, notAnArgument)
		return 0
	case known && perWorker[path] != "" && path != "ckpt.resume" && expands:
		im.ignored(w.line, text, perWorker[path])
	case expands:
		im.ignored(w.line, text, onlyShellKnows)
	default:
		if !joined {
			value = strconv.FormatBool(!negated)
		}
		im.args = append(im.args, found{path, value, w.line, text})
	}
	return used
}

// ofCore reports whether an argument that the core does not know was meant for it.
func ofCore(path string) bool {
	table, _, found := strings.Cut(path, ".")
	return found && (schemaTables[table] || nearestPath(path, false) != "")
}

// launcherFlag takes an argument of torchrun.
func (im *importer) launcherFlag(name string, v found, expands bool) {
	switch {
	case expands && (name == "nproc_per_node" || name == "nnodes"):
		im.ignored(v.line, v.text, onlyShellKnows)
	case name == "nproc_per_node":
		im.place("gpus", v, v.text)
	case name == "nnodes" && v.value != "1":
		im.place("nodes", v, v.text)
	default:
		im.ignored(v.line, v.text, setForWorkers)
	}
}
