package trainconf

import (
	"regexp"
	"slices"

	"github.com/cotrain/cotrain/internal/fault"
)

// flow follows the commands of a script, and tells those that the shell may pass over.
type flow struct {
	called     map[string]bool // commands that the script runs, functions among them
	conditions int             // if and case that are open
	function   string          // whose body the command is in, "" for none
	braces     int             // open in that body
	named      string          // a function whose body is about to begin
	first      string          // word of the command before
	guarded    bool            // by the command before it on its line
	last       byte            // operator
}

// decides is a command that is run for its outcome.
var decides = regexp.MustCompile(`^(?:\[\[?|test|false|grep|command|which)$`)

// see takes a command with the operator at its end, and returns why the shell may pass over it, "" for no reason.
func (f *flow) see(command []word, end byte) (doubt string) {
	defer func() { f.last = end }()
	if len(command) == 0 {
		switch {
		case end == f.last && (end == '&' || end == '|'):
			f.guarded = f.guarded || end == '|' || decides.MatchString(f.first)
		case end == '(' || end == ')':
		default:
			f.guarded = false
		}
		return ""
	}
	f.open(command, end)
	switch {
	case f.function != "" && !f.called[f.function]:
		doubt = "stands in the function " + fault.Quote(f.function) + ", which the script does not call, and was taken"
	case f.conditions > 0 || f.guarded:
		doubt = "stands under a condition, and was taken"
	}
	if end == ';' || end == '\n' {
		f.guarded = false
	}
	return doubt
}

// open follows the words that begin a command.
func (f *flow) open(command []word, end byte) {
	for i, w := range command {
		f.first = w.text
		switch w.text {
		case "if", "case":
			f.conditions++
		case "fi", "esac":
			f.conditions = max(0, f.conditions-1)
		case "then", "else", "elif", "do", "!", "time":
		case "function":
			if i+1 < len(command) {
				f.named = command[i+1].text
			}
			if n := len(command); n < 3 || command[n-1].text != "{" {
				return
			}
			f.function, f.named, f.braces = f.named, "", 1
			return
		case "{":
			if f.function == "" {
				f.function, f.named = f.named, ""
			}
			f.braces++
		case "}":
			if f.braces = max(0, f.braces-1); f.braces == 0 {
				f.function = ""
			}
		default:
			if end == '(' && i == len(command)-1 {
				f.named = w.text
			}
			return
		}
	}
}

// callsOf are the commands that statements run, as far as they begin a command.
func callsOf(all []statement) map[string]bool {
	out := map[string]bool{}
	for _, s := range all {
		begins := true
		for i, w := range s.words {
			if w.end != 0 {
				begins = true
				continue
			}
			if begins && (i+1 == len(s.words) || s.words[i+1].end != '(') {
				out[w.text] = true
			}
			begins = begins && slices.Contains([]string{"if", "then", "else", "elif", "do", "!", "time", "{"}, w.text)
		}
	}
	return out
}
