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
	// stepsMinusUnknown is for each doubling where nobody knows that the process failed.
	stepsMinusUnknown = 25
	// survivedMinus is for an error after which steps followed, up to an exception that ended the process.
	survivedMinus = 60
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

// apply applies a marker, and reports whether the line is to be ignored.
func (s *Scanner) apply(m *Marker, u *unit) bool {
	switch m.Effect {
	case ignore:
		return true
	case handled:
		u.handled = u.handled || !u.ends || u.bare
		s.forget(m.Reach)
	case recovered:
		s.drop(func(r *Rule, _ *sighting) bool {
			return (m.Sticky || !r.Sticky) && slices.Contains(m.Clears, r.Category)
		})
	case finished:
		s.finished = s.line
		s.drop(func(r *Rule, _ *sighting) bool { return r.Echo })
	}
	return false
}

// drop forgets what is over.
func (s *Scanner) drop(over func(*Rule, *sighting) bool) {
	for i := range s.seen {
		s.seen[i].drop(s.rules.rules[i], over)
	}
}

func (e *seen) drop(rule *Rule, over func(*Rule, *sighting) bool) {
	for _, g := range []*sighting{&e.first, &e.last} {
		g.ok = g.ok && !over(rule, g)
	}
}

// forget drops what the newest lines told.
func (s *Scanner) forget(reach int64) {
	over := func(r *Rule, g *sighting) bool { return !r.Sticky && s.line-g.kept.line <= reach }
	if s.line-s.recent.oldest() <= reach {
		s.drop(over)
		return
	}
	for _, of := range s.recent.all {
		s.seen[of.rule].drop(s.rules.rules[of.rule], over)
	}
}

// recent are the newest sightings.
type recent struct {
	all [16]struct {
		line int64
		rule int
	}
	next int
}

func (r *recent) add(line int64, rule int) {
	of := &r.all[r.next%len(r.all)]
	of.line, of.rule = line, rule
	r.next++
}

// oldest is the line before which sightings may be missing.
func (r *recent) oldest() int64 {
	if r.next < len(r.all) {
		return -1 << 62
	}
	return r.all[r.next%len(r.all)].line
}

// match has the rules of a line see it.
func (s *Scanner) match(u *unit) {
	if s.more > 0 {
		s.goOn(u)
	}
	for _, i := range u.rules {
		s.see(u, int(i))
	}
	if u.ends && !u.known { // what a rule knows is no mere exception
		for _, i := range u.shaped {
			s.see(u, int(i))
		}
	}
}

// see keeps the line that a rule has seen, if it counts.
func (s *Scanner) see(u *unit, index int) {
	rule := s.rules.rules[index]
	if rule.Shape != "" && !u.ends {
		return
	}
	if rule.unlessFrame != nil && u.trace != nil && s.framed(u.trace, index) {
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
	s.recent.add(s.line, index)
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
