package diagnose

import (
	"bytes"
	"slices"
)

// Effects of the place of a line on the weight of what a rule sees in it.
const (
	endsBonus     = 10 // it ends a process
	benignMinus   = 60 // in warnings, information and below
	handledMinus  = 60 // CotrainCore logs what it handles at ERROR
	stepsFree     = 8  // steps that may follow a fatal error, as streams are written in turns
	stepsMinus    = 12 // for each doubling of the steps beyond
	maxStepsMinus = 70
)

// maxKept is how much of a line is kept: enough to find facts in.
const maxKept = 1024

// sighting is a line that a rule has seen.
type sighting struct {
	ok    bool
	kept  kept
	bonus int   // adds to the rule's weight
	steps int64 // reported before
	rank  int
	at    []byte // file and line of the frame above
	frame kept
	after [maxMore]kept // lines of the same message
	more  int           // how many of them
}

// kept is a line of the log.
type kept struct {
	line int64
	text []byte
}

// set keeps a line, in the memory of the one before.
func (k *kept) set(line []byte, number int64) {
	k.line, k.text = number, append(k.text[:0], line[:min(len(line), maxKept)]...)
}

// seen is what a rule has seen: the first and the newest line that count.
type seen struct{ first, last sighting }

// marked applies the markers of a line, and reports whether it tells nothing else.
func (s *Scanner) marked(u *unit) bool {
	s.stamp++
	told := false // a rule has a text in it
	for _, id := range s.found {
		for _, o := range s.rules.owners[id] {
			told = told || o.role == ofRule
			if o.role != ofMarker || s.counts[len(s.seen)+o.index] == s.stamp {
				continue
			}
			s.counts[len(s.seen)+o.index] = s.stamp
			if s.apply(o.index, u, u.text) {
				return true
			}
		}
	}
	if !told {
		return false
	}
	return slices.ContainsFunc(s.rules.plain, func(i int) bool { return s.apply(i, u, u.rest) })
}

// apply applies a marker if it matches, and reports whether the line is to be ignored.
func (s *Scanner) apply(index int, u *unit, text []byte) bool {
	m, id := s.rules.markers[index], 2*(len(s.seen)+index)
	if m.match != nil && !s.matches(id, m.match, text) || m.unless != nil && s.matches(id+1, m.unless, text) {
		return false
	}
	switch m.Effect {
	case ignore:
		return true
	case handled:
		u.handled = u.handled || !u.ends || u.bare
		s.drop(func(r *Rule, g *sighting) bool { return !r.Sticky && s.line-g.kept.line <= m.Reach })
	case recovered:
		s.drop(func(r *Rule, g *sighting) bool { return !r.Sticky && slices.Contains(m.Clears, r.Category) })
	case finished:
		s.finished = s.line
		s.drop(func(r *Rule, _ *sighting) bool { return r.Echo })
	}
	return false
}

// drop forgets what is over.
func (s *Scanner) drop(over func(*Rule, *sighting) bool) {
	for i, rule := range s.rules.rules {
		for _, g := range []*sighting{&s.seen[i].first, &s.seen[i].last} {
			g.ok = g.ok && !over(rule, g)
		}
	}
}

// match asks the rules of the texts of a line.
func (s *Scanner) match(u *unit) {
	if s.more > 0 {
		s.goOn(u)
	}
	for _, id := range s.found {
		for _, o := range s.rules.owners[id] {
			if o.role == vetoes {
				s.counts[o.index] = s.stamp
			}
		}
	}
	for _, id := range s.found {
		for _, o := range s.rules.owners[id] {
			if o.role == ofRule {
				s.ask(u, o.index)
			}
		}
	}
	if u.ends && !u.known { // what a rule knows is no mere exception
		for _, i := range s.rules.shaped {
			s.ask(u, i)
		}
	}
}

// ask has a rule look at a line, once.
func (s *Scanner) ask(u *unit, index int) {
	rule := s.rules.rules[index]
	if s.counts[index] == s.stamp {
		return
	}
	s.counts[index] = s.stamp
	if rule.Shape != "" && !u.ends || rule.unless != nil && s.matches(2*index+1, rule.unless, u.text) || rule.match != nil && !s.matches(2*index, rule.match, u.text) {
		return
	}
	u.known = true
	if u.handled && !rule.Sticky {
		return
	}
	e := &s.seen[index]
	g := &e.last
	if !e.first.ok || u.chain == during && rule.Shape != "" && e.first.rank == u.rank {
		g = &e.first // the exception that ended the process, not the one that it was handling
	}
	g.ok, g.bonus, g.steps, g.rank, g.more = true, bonus(u, rule), s.curve.reports, u.rank, 0
	g.kept.set(u.text, s.line)
	g.at, g.frame.text = g.at[:0], g.frame.text[:0]
	if u.trace != nil {
		g.at = append(g.at, u.trace.at...)
		g.frame.set(u.trace.shown.text, u.trace.shown.line)
	}
	if rule.More > 0 {
		s.follow, s.more = index, rule.More
		s.watch = max(s.watch, s.line+int64(rule.More))
	}
}

// bonus says how the place of a line changes what it weighs.
func bonus(u *unit, rule *Rule) int {
	switch {
	case u.ends:
		return endsBonus
	case rule.Sticky:
		return 0
	case u.core && u.level == failure:
		return -handledMinus
	case u.level != noLevel && u.level <= warning:
		return -benignMinus
	}
	return 0
}

// goOn keeps a line that belongs to the messages before it.
func (s *Scanner) goOn(u *unit) {
	s.more--
	if len(bytes.TrimSpace(u.text)) == 0 {
		return
	}
	reach := int64(s.rules.rules[s.follow].More)
	for _, g := range []*sighting{&s.seen[s.follow].first, &s.seen[s.follow].last} {
		if g.ok && g.more < maxMore && s.line > g.kept.line && s.line-g.kept.line <= reach {
			g.after[g.more].set(u.text, s.line)
			g.more++
		}
	}
}
