package diagnose

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// facts finds what a summary names, in the lines of a candidate.
type facts struct {
	own, shared []*regexp.Regexp
	best        *sighting
	known       map[string]string
}

func (s *Scanner) factsOf(c candidate, exit Exit) facts {
	f := facts{own: c.rule.facts, best: c.best, known: map[string]string{"exit": exit.String(), processFact: s.process}}
	for _, fact := range s.rules.facts {
		f.shared = append(f.shared, fact.match)
	}
	if s.curve.finite > 0 {
		f.known["loss"] = strconv.FormatFloat(s.curve.ended, 'g', 4, 64)
		f.known["low"] = strconv.FormatFloat(s.curve.best, 'g', 4, 64)
	}
	if c.best == nil {
		return f
	}
	if c.best.rank >= 0 {
		f.known["rank"] = strconv.Itoa(c.best.rank)
	}
	f.known["at"] = clean(c.best.at, maxFact)
	rest := readHead(c.best.kept.text).rest
	name, message := exception(rest, true)
	if name == nil {
		message = rest
	}
	f.known["exception"] = clean(name, maxFact)
	f.known["message"] = strings.TrimRight(clean(message, 2*maxFact), ".!?: ")
	if f.known["message"] == "" {
		f.known["message"] = "(no message)"
	}
	return f
}

// value returns a fact, "" if no line tells it.
func (f facts) value(name string) string {
	if text := f.known[name]; text != "" || f.best == nil || name == "" {
		return text
	}
	for _, list := range [][]*regexp.Regexp{f.own, f.shared} {
		for _, e := range list {
			if text := f.find(e, name); text != "" {
				return text
			}
		}
	}
	return ""
}

// unranked is value without what differs between processes that fail in the same way.
func (f facts) unranked(name string) string {
	if name == "rank" {
		return ""
	}
	return f.value(name)
}

// processFact is a fact of no line: how the process is called.
const processFact = "process"

// naming has a summary call the process by its name, where it has one, in place of its rank: processes of several launchers have the same.
func (s *Scanner) naming(summary string) string {
	if s.process == "" {
		return summary
	}
	return strings.ReplaceAll(summary, "rank {rank}", "{"+processFact+"}")
}

// find looks for a fact in the line, then in those that follow.
func (f facts) find(e *regexp.Regexp, name string) string {
	lines := [1 + maxMore]kept{f.best.kept}
	n := 1 + copy(lines[1:], f.best.after[:f.best.more])
	for _, k := range lines[:n] {
		groups := e.FindSubmatch(k.text)
		for i, group := range groups {
			if i > 0 && len(group) > 0 && factName(e.SubexpNames()[i]) == name {
				if text := strings.TrimRight(clean(group, maxFact), ".,:; "); text != "" {
					return text
				}
			}
		}
	}
	return ""
}

func (f facts) rank() int {
	if n, err := strconv.Atoi(f.value("rank")); err == nil {
		return n
	}
	return -1
}

// expand fills a summary: {name} is a fact, and a part in square brackets is left out where one of its facts is missing.
func expand(text string, fact func(name string) string) string {
	var out strings.Builder
	for text != "" {
		plain, rest, optional := strings.Cut(text, "[")
		filled, _ := fill(plain, fact)
		out.WriteString(filled)
		if !optional {
			break
		}
		var part string
		part, text, _ = strings.Cut(rest, "]")
		if filled, whole := fill(part, fact); whole {
			out.WriteString(filled)
		}
	}
	return fault.Clip(out.String(), maxSummary)
}

// fill replaces facts, and reports whether all are known.
func fill(text string, fact func(name string) string) (out string, whole bool) {
	whole = true
	var b strings.Builder
	for {
		plain, rest, ok := strings.Cut(text, "{")
		b.WriteString(plain)
		if !ok {
			return b.String(), whole
		}
		var name string
		name, text, _ = strings.Cut(rest, "}")
		value := fact(name)
		if value == "" {
			whole, value = false, "?"
		}
		b.WriteString(value)
	}
}
