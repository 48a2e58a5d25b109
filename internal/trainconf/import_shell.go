package trainconf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// word is one word of a shell.
type word struct {
	text    string // without quotes
	line    int    // counted from 1
	expands bool   // holds a variable or a command, so that its value is not known
	end     bool   // an operator or the end of the line, after which another command begins
}

// shellWords reads the words of the command that begins at line i, which may be written differently from how it stands, with
// the lines that it is continued on, and returns the last of them. A quote that is not closed ends with its line, so that one mistake does not swallow the rest.
func shellWords(line string, lines []string, i int) (words []word, last int) {
	var b strings.Builder
	started, expands, at := false, false, i
	flush := func() {
		if started {
			words = append(words, word{b.String(), at + 1, expands, false})
		}
		b.Reset()
		started, expands = false, false
	}
	begin := func() {
		if !started {
			started, at = true, i
		}
	}
	operator := func() {
		flush()
		words = append(words, word{line: i + 1, end: true})
	}
	for {
		continued := false
	scan:
		for j := 0; j < len(line); j++ {
			switch c := line[j]; {
			case c == '\\' && strings.TrimSpace(line[j+1:]) == "":
				continued = true
				break scan
			case c == '\\':
				j++
				b.WriteByte(line[j])
				begin()
			case c == '\'':
				n := closing(line[j:])
				b.WriteString(strings.TrimSuffix(line[j+1:j+n+1], "'"))
				j += n
				begin()
			case c == '"':
				n := closing(line[j:])
				text := strings.TrimSuffix(line[j+1:j+n+1], `"`)
				expands = expands || expansion.MatchString(text)
				b.WriteString(doubleQuoted.Replace(text))
				j += n
				begin()
			case c == '#' && !started:
				break scan
			case c == ' ' || c == '\t':
				flush()
			case strings.IndexByte(";&|<>()", c) >= 0:
				operator()
			default:
				expands = expands || expansion.MatchString(line[j:min(len(line), j+2)])
				b.WriteByte(c)
				begin()
			}
		}
		if !continued || i+1 == len(lines) {
			operator()
			return words, i
		}
		i++
		line = lines[i]
	}
}

var (
	expansion    = regexp.MustCompile("`|" + `\$[A-Za-z0-9_{(@*#?]`)
	doubleQuoted = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`")
	shellAssign  = regexp.MustCompile(`^["']?([A-Za-z_][A-Za-z0-9_]*)["']?=((?s:.*))$`)
	envColon     = regexp.MustCompile(`^\s*(?:-\s+)?["']?([A-Z_][A-Z0-9_]*)["']?(?:\s*:\s+|\s+=\s*|=\s+)(.*)$`)
)

// command reads the command that begins at line i, and returns its last line.
func (im *importer) command(i int) (last int) {
	count := func() int { return len(im.args) + len(im.env) + len(im.out.Ignored) + len(im.out.Understood) }
	before := count()
	words, last := shellWords(asCommand(im.lines[i]), im.lines, i)
	for len(words) > 0 {
		n := slices.IndexFunc(words, func(w word) bool { return w.end })
		im.words(words[:n])
		words = words[n+1:]
	}
	if count() == before {
		text := strings.TrimSpace(im.lines[i])
		if secretKey(text) {
			text = hiddenValue
		}
		im.ignored(i+1, text, "is neither configuration nor a variable or an argument of the core")
	}
	return last
}

// asCommand writes NAME: value and NAME = value, which files of variables have, as a shell does.
func asCommand(line string) string {
	if m := envColon.FindStringSubmatch(line); m != nil {
		return m[1] + "=" + strings.TrimSpace(m[2])
	}
	return line
}

// words takes the words of one command.
func (im *importer) words(words []word) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case shellAssign.MatchString(w.text):
			im.assign(w, w.text)
		case (w.text == "-e" || w.text == "--env") && i+1 < len(words):
			i++
			im.assign(words[i], words[i].text)
		case strings.HasPrefix(w.text, "--env="):
			im.assign(w, strings.TrimPrefix(w.text, "--env="))
		case strings.HasPrefix(w.text, "-e") && shellAssign.MatchString(w.text[2:]):
			im.assign(w, w.text[2:])
		case strings.HasPrefix(w.text, "--"):
			i += im.flag(w, words[i+1:])
		case strings.HasPrefix(w.text, "@") && len(w.text) > 1:
			im.ignored(w.line, w.text, "names a file: paste what it holds as well")
		}
	}
}

// assign takes NAME=VALUE.
func (im *importer) assign(w word, text string) {
	m := shellAssign.FindStringSubmatch(text)
	switch {
	case m == nil:
		if envName.MatchString(text) {
			im.ignored(w.line, text, "takes its value from the shell, which is not known here")
		}
	case w.expands && !setElsewhere(m[1]) && !secretKey(m[1]): // of a secret the value does not matter
		shown := shownEnv(m[1], m[2])
		im.ignored(w.line, shown, "holds what only the shell knows")
	case setElsewhere(m[1]):
		im.ignored(w.line, shownEnv(m[1], m[2]), "CoTrain sets it for each worker")
	default:
		im.env = append(im.env, found{m[1], m[2], w.line, text})
	}
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
func (im *importer) flag(w word, rest []word) int {
	name, value, joined := strings.Cut(strings.TrimPrefix(w.text, "--"), "=")
	negated := strings.HasPrefix(name, "no-")
	if name == "" {
		return 0
	}
	plain := strings.ReplaceAll(name, "-", "_")
	takes, launcher := launcherFlags[plain]
	used, expands := 0, w.expands
	if !joined && len(rest) > 0 && !strings.HasPrefix(rest[0].text, "--") && (!launcher || takes) && !negated {
		value, joined, used = rest[0].text, true, 1
		expands = expands || rest[0].expands
	}
	text := "--" + name
	if joined {
		text += " " + value
	}
	if secretKey(name) {
		text = "--" + name + " " + hiddenValue
	}
	path := strings.TrimPrefix(plain, "no_")
	_, known := schemaIndex[path]
	switch {
	case launcher:
		im.launcherFlag(plain, found{plain, value, w.line, text}, expands)
	case !known && !strings.Contains(path, "."):
		// Of docker, uv or whatever else stands before the trainer: what follows may be its next word.
		im.ignored(w.line, "--"+name, "is not an argument of the core")
		return 0
	case known && perWorker[path] != "" && expands:
		im.ignored(w.line, text, perWorker[path])
	case expands:
		im.ignored(w.line, text, "holds what only the shell knows")
	default:
		if !joined {
			value = strconv.FormatBool(!negated)
		}
		im.args = append(im.args, found{path, value, w.line, text})
	}
	return used
}

// launcherFlag takes an argument of torchrun.
func (im *importer) launcherFlag(name string, v found, expands bool) {
	switch {
	case name == "nproc_per_node" && !expands:
		im.place("gpus", v, v.text)
	case name == "nnodes" && !expands && v.value != "1":
		im.place("nodes", v, v.text)
	default:
		im.ignored(v.line, v.text, "CoTrain sets it for each worker")
	}
}
