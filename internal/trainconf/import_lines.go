package trainconf

import (
	"regexp"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// lineKind is what a statement is taken for.
type lineKind int

const (
	blankLine   lineKind = iota // nothing, a comment, or a mark around a text
	tomlLine                    // TOML, right or wrong
	shellLine                   // a command of a shell, or a line of a .env file
	unclearLine                 // neither for sure: what stands around it decides
	textLine                    // a here-document that sets nothing
)

// statement is lines of a text that belong together.
type statement struct {
	kind        lineKind
	first, last int    // lines, counted from 0
	words       []word // of shellLine
	why         string // it is ignored, when not ""
	file        string // a here-document of it is a configuration that it writes there
	afterTOML   bool   // it follows a line of TOML
}

// split tells the lines of a shell from those of TOML. It reads the former, and returns the latter with empty lines in
// place of the others, so that numbers of lines stay those of the text.
func (im *importer) split() []string {
	out := make([]string, len(im.lines))
	im.starts = make([]int, len(im.lines))
	for i, line := range im.lines {
		im.starts[i] = i
		if fault.NamesSecret(line) && danglingSecret.MatchString(line) {
			im.hidden[i+2] = true
		}
	}
	all := statements(im.lines)
	im.flow.called = callsOf(all)
	for _, s := range all {
		if s.file != "" {
			im.files[s.file] = true
		}
		if slices.ContainsFunc(s.words, startsTrainer) {
			im.lastStart = s.first + 1
		}
	}
	for _, s := range all {
		switch {
		case s.kind == blankLine:
		case s.why != "":
			im.ignored(s.first+1, im.showShell(s.first+1), s.why)
		case s.kind == shellLine:
			im.command(s)
		default:
			secret := false // the statement goes on with a secret
			for i := s.first; i <= s.last; i++ {
				if secret = secret || fault.NamesSecret(im.lines[i]); secret {
					im.hidden[i+1] = true
				}
				out[i], im.starts[i] = im.lines[i], s.first
			}
		}
	}
	return out
}

// danglingSecret is a line whose secret, if there is one, can only stand on the next.
var danglingSecret = regexp.MustCompile(`(=|:|[A-Za-z_])\s*\\?\s*$`)

// statements splits a text into statements that are either TOML's or a shell's. What could be both is TOML in a text without a
// shell, and right after TOML: then it is a mistake worth telling.
func statements(lines []string) []statement {
	s := sorter{lines: lines, endless: map[heredoc]bool{}}
	var all []statement
	var seen [textLine + 1]bool
	for i := 0; i < len(lines); {
		next := s.next(i)
		seen[next.kind] = true
		all = append(all, next)
		i = next.last + 1
	}
	for i := range all {
		switch next := &all[i]; {
		case next.kind != unclearLine:
		case next.afterTOML || seen[tomlLine] && !seen[shellLine]:
			next.kind = tomlLine
		default:
			next.kind = shellLine
			next.words, _, _ = shellWords(lines, next.first, next.first+1)
		}
	}
	return all
}

// sorter walks over the lines of a text.
type sorter struct {
	lines     []string
	table     string // TOML's, as the last header says
	afterTOML bool   // the line before was TOML
	bodies    []body // here-documents that have begun, the first to end at last
	endless   map[heredoc]bool
}

// body is the lines of a here-document.
type body struct {
	end     int  // the line that ends it
	foreign bool // it holds no configuration
	text    bool // nor sets it anything
	expands bool // the shell replaces variables in it
}

// next is the statement that begins at line i.
func (s *sorter) next(i int) statement {
	limit, in := len(s.lines), body{}
	if n := len(s.bodies); n > 0 {
		in = s.bodies[n-1]
		if limit = in.end; i == limit {
			s.bodies, s.afterTOML = s.bodies[:n-1], false
			return statement{first: i, last: i}
		}
	}
	if in.text {
		return statement{kind: textLine, first: i, last: limit - 1, why: "is part of a text that the script writes"}
	}
	line := s.lines[i]
	out := statement{kind: s.kind(line, in), first: i, last: i, afterTOML: s.afterTOML}
	switch out.kind {
	case blankLine:
		s.afterTOML = s.afterTOML && strings.HasPrefix(strings.TrimSpace(line), "#")
	case tomlLine:
		s.afterTOML = true
		if value := lineForm.FindStringSubmatch(line); in.expands && expansion.MatchString(line) || value != nil && shellValue.MatchString(value[3]) {
			out.kind, out.why = shellLine, onlyShellKnows
			return out
		}
		if m := headerForm.FindStringSubmatch(line); m != nil {
			s.table = strings.NewReplacer(`"`, "", "'", "", " ", "", "\t", "").Replace(m[1])
		}
		var state tomlState
		for state.feed(line); state.open() && out.last+1 < limit; state.feed(s.lines[out.last]) {
			out.last++
		}
	case shellLine:
		s.afterTOML = false
		var docs []heredoc
		out.words, docs, out.last = shellWords(s.lines, i, limit)
		if s.enter(out, docs, limit) {
			out.file = writtenTo(out.words)
		}
	}
	return out
}

// enter notes the here-documents that follow a command, and reports whether one is a configuration. One without an end is
// none.
func (s *sorter) enter(command statement, docs []heredoc, limit int) (configuration bool) {
	at := command.last + 1
	var found []body
	for _, doc := range docs {
		n := -1
		if !s.endless[doc] {
			n = slices.IndexFunc(s.lines[min(at, limit):limit], doc.endsAt)
		}
		if n < 0 {
			s.endless[doc] = len(s.bodies) == 0 // nor will it end for a later command
			break
		}
		b := body{end: at + n, expands: !doc.quoted}
		b.text = !runs(command.words)
		b.foreign = b.text || !configures(s.lines[at:b.end])
		configuration = configuration || !b.foreign
		found = append(found, b)
		at = b.end + 1
	}
	slices.Reverse(found)
	s.bodies = append(s.bodies, found...)
	return configuration
}

// configures reports whether a here-document is CotrainCore's TOML.
func configures(lines []string) bool {
	return slices.ContainsFunc(lines, func(line string) bool {
		if m := headerForm.FindStringSubmatch(line); m != nil {
			return schemaTables[m[1]]
		}
		m := lineForm.FindStringSubmatch(line)
		return m != nil && m[2] != "" && knownKey("", m[1])
	})
}

var (
	// headerForm is a header of TOML, which may lack its end. A test of a shell has white space or a sign in it.
	headerForm = regexp.MustCompile(`^\s*\[{1,2}\s*(["']?[A-Za-z0-9_][^\]=$()]*?)\s*(?:\]{1,2}\s*(?:#.*)?)?$`)
	// lineForm is a key of TOML, the white space after it, and its value.
	lineForm = regexp.MustCompile(`^\s*((?:[A-Za-z0-9_][A-Za-z0-9_-]*|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)(\s*)=((?:[^=~].*)?)$`)
	// tomlValue is a whole value as TOML writes it, or the beginning of one of several lines.
	tomlValue = regexp.MustCompile(`^\s*(?:"(?:[^"\\$` + "`" + `]|\\.)*"|'[^']*'|[-+]?[0-9][0-9_.eE+-]*|true|false|[\[{].*|"""[^$` + "`" + `]*|'''.*)\s*(?:#.*)?$`)
	// shellValue begins a value that only a shell can read, and shellQuoted one that TOML takes as it stands.
	shellValue  = regexp.MustCompile(`^\s*[$` + "`" + `(]`)
	shellQuoted = regexp.MustCompile(`^"[$][({]`)
	// bareVariable is what a shell or a .env file begins an assignment with. CotrainCore has no key with capitals.
	bareVariable = regexp.MustCompile(`^\s*(?:-\s+)?["']?[A-Z_][A-Z0-9_]*(?:=|["']?\s*[=:]\s*)`)
	// shellStart begins a command or a part of one.
	shellStart = regexp.MustCompile(`^\s*(?:\S+@\S+[$#]\s+|\$\s+)?(?:(?:` + strings.Join([]string{
		`export|env|set|setx|unset|declare|typeset|local|readonly|shift|eval|alias|test|read|return|exit|trap|ulimit|wait|sleep|type|command|source|exec|nohup|sudo|time`,
		`if|then|elif|else|fi|for|do|done|while|until|case|esac|select|function|break|continue|true|false`,
		`(?:\S*/)?(?:torchrun|python[0-9.]*|bash|sh|zsh)|uv|uvx|pip|pip3|poetry|conda|mamba|accelerate|deepspeed|docker|podman|singularity|apptainer|enroot|kubectl|nomad`,
		`srun|sbatch|salloc|scontrol|squeue|scancel|module|spack|mpirun|nvidia-smi|nvcc|rocm-smi|numactl|taskset|tmux|screen|ssh|scp|rsync|curl|wget|git|apt|apt-get|make|wandb|huggingface-cli`,
		`cd|ls|cat|cp|mv|rm|ln|mkdir|rmdir|touch|chmod|chown|tar|unzip|find|xargs|echo|printf|tee|head|tail|grep|sed|awk|cut|sort|tr|wc|seq|date|hostname|whoami|uname|pwd|df|du|free|ps|pgrep|kill|pkill|killall|which|id`,
		`FROM|RUN|ENV|ARG|COPY|ADD|WORKDIR|CMD|ENTRYPOINT|EXPOSE|USER|VOLUME`,
	}, "|") + `)(?:[\s;]|$)|-e\s|-e[A-Z]|--|-m\s|@\S|#!|\.\s|[{})!:](?:[\s;]|$)|\(|\[\[?\s|;;|[A-Za-z_][A-Za-z0-9_-]*\s*\(\s*\))`)
)

// kind tells what a line is that begins a statement.
func (s *sorter) kind(line string, in body) lineKind {
	trimmed := strings.TrimSpace(line)
	m := lineForm.FindStringSubmatch(line)
	switch {
	case trimmed == "" || strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, "```"):
		return blankLine
	case in.foreign || bareVariable.MatchString(line):
		return shellLine
	case headerForm.MatchString(line):
		return tomlLine
	case m != nil && (m[2] != "" || strings.ContainsAny(m[1], `."'`)):
		return tomlLine // no shell has white space before =, or such names
	case m != nil:
		return s.assignment(m[1], m[3])
	case shellStart.MatchString(line) || hasOperator(trimmed):
		return shellLine
	case knownKey(s.table, strings.TrimRight(strings.Fields(trimmed)[0], ":")):
		return tomlLine // without its =
	}
	return unclearLine
}

// assignment tells what key=value is, which both know.
func (s *sorter) assignment(key, value string) lineKind {
	known, fits := knownKey(s.table, key), tomlValue.MatchString(value)
	switch {
	case shellValue.MatchString(value) || shellQuoted.MatchString(value):
		return shellLine
	case s.afterTOML || known && fits:
		return tomlLine
	case known || fits:
		return unclearLine
	}
	return shellLine
}

// knownKey reports whether a table of CotrainCore's TOML, "" for the top, has the key.
func knownKey(table, key string) bool {
	path := prefixOf(table) + key
	_, known := schemaIndex[path]
	return known || schemaTables[path]
}
