package diagnose

import (
	"bytes"
	"regexp"
	"slices"
)

// notes are what a text says by itself, whatever came before it.
type notes struct {
	head            // without its message and rank
	message     int // where the message starts
	structure   []int32
	raised      bool // an exception in a traceback, and
	raisedAlone bool // one without
	what        bool // what a C++ exception says
	boxed       bool // a quote in a box

	judged  bool // what follows is known
	markers []int32
	rules   []int32 // with a text of theirs in it
	shaped  []int32 // without
	marked  level   // where the head has none

	// depends are the digits on which the notes of a line depend, in place of what is above.
	depends []span
}

// read notes what a text is.
func (s *Scanner) read(n *notes, text []byte, whole bool) {
	h := head{rest: text, rankAt: -1}
	if whole {
		h = readHead(text)
	}
	rest := h.rest
	h.rest = nil
	name, _ := exception(rest, true)
	alone, _ := exception(rest, false)
	*n = notes{
		head: h, message: len(text) - len(rest), raised: name != nil, raisedAlone: alone != nil, what: bytes.Contains(text, whatText),
		boxed:     bytes.HasPrefix(rest, []byte("│")) || bytes.HasPrefix(rest, []byte("╭")) || bytes.HasPrefix(rest, []byte("❱")),
		structure: n.structure[:0], markers: n.markers[:0], rules: n.rules[:0], shaped: n.shaped[:0],
	}
	s.found = s.found[:0]
	s.rules.finder.each(text, func(id int32, _ int) {
		s.found = append(s.found, id)
		if id < textsOfStructure {
			n.structure = append(n.structure, id)
		}
	})
}

var whatText = []byte("what():")

// matches is how expressions are asked of one line.
func matches(e *regexp.Regexp, text []byte) bool { return e.Match(text) }

// judge notes which markers and rules the text that was read last is one for.
func (s *Scanner) judge(n *notes, text []byte, asks func(*regexp.Regexp, []byte) bool) {
	n.judged = true
	s.stamp++
	ignored, told := s.judgeMarkers(n, text, asks)
	if ignored {
		return
	}
	says := func(match, unless *regexp.Regexp) bool {
		return (unless == nil || !asks(unless, text)) && (match == nil || asks(match, text))
	}
	ask := func(into []int32, i int) []int32 {
		if rule := s.rules.rules[i]; s.once(i) && says(rule.match, rule.unless) {
			return append(into, int32(i)) // #nosec G115 -- at most maxRules
		}
		return into
	}
	for _, id := range s.found {
		for _, o := range s.rules.owners[id] {
			if told && o.role == ofRule {
				n.rules = ask(n.rules, o.index)
			}
		}
	}
	for _, i := range s.rules.shaped {
		n.shaped = ask(n.shaped, i)
	}
	if n.level == noLevel && len(n.rules)+len(n.shaped) > 0 {
		n.marked = markedLevel(text)
	}
}

// judgeMarkers notes the markers, up to one by which the line tells nothing, and says whether a rule has a text in it. It takes the rules
// out that have one which they must not.
func (s *Scanner) judgeMarkers(n *notes, text []byte, asks func(*regexp.Regexp, []byte) bool) (ignored, told bool) {
	add := func(i int, text []byte) bool {
		m := s.rules.markers[i]
		if m.match != nil && !asks(m.match, text) || m.unless != nil && asks(m.unless, text) {
			return false
		}
		n.markers = append(n.markers, int32(i)) // #nosec G115 -- at most maxRules
		return m.Effect == ignore
	}
	for _, id := range s.found {
		for _, o := range s.rules.owners[id] {
			switch o.role {
			case ofRule:
				told = true
			case vetoes:
				s.counts[o.index] = s.stamp
			case ofMarker:
				if s.once(len(s.seen)+o.index) && add(o.index, text) {
					return true, told
				}
			}
		}
	}
	return told && slices.ContainsFunc(s.rules.plain, func(i int) bool { return add(i, text[n.message:]) }), told
}

// once reports whether it is called for a rule or marker for the first time of a line.
func (s *Scanner) once(index int) bool {
	if s.counts[index] == s.stamp {
		return false
	}
	s.counts[index] = s.stamp
	return true
}
