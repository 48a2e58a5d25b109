package diagnose

import (
	"cmp"
	"math/bits"
	"slices"
)

// What a cause must weigh: less when the process is known to have failed, more when it is known to have ended well.
const (
	enough       = 30
	enoughFailed = 12
	enoughClean  = 55
)

// candidate is a rule with the line that speaks for it most.
type candidate struct {
	rule  *Rule
	best  *sighting // nil for a rule of an exit
	score int
}

// Cause weighs what has been seen so far, together with the end of the process. It may be asked at any time.
func (s *Scanner) Cause(exit Exit) Cause {
	least := enough
	switch {
	case exit.failed():
		least = enoughFailed
	case exit.clean():
		least = enoughClean
	}
	var all []candidate
	for i, rule := range s.rules.rules {
		if c := s.weigh(i, rule, exit); c.score >= least && (!exit.clean() || s.rules.spoils(rule.Category)) {
			all = append(all, c)
		}
	}
	for i := range all {
		if slices.ContainsFunc(all, func(end candidate) bool { return s.survived(all[i], end) }) {
			all[i].score -= survivedMinus
		}
	}
	all = slices.DeleteFunc(all, func(c candidate) bool { return c.score < least })
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rule.tier(), b.rule.tier()), cmp.Compare(b.score, a.score), cmp.Compare(a.line(), b.line()))
	})
	if len(all) == 0 {
		return nothing(exit)
	}
	won := all[0]
	facts := s.factsOf(won, exit)
	return Cause{
		Category: won.rule.Category, Retryable: won.rule.Retryable, Summary: expand(s.naming(won.rule.Summary), facts.value), Hint: won.rule.Hint,
		Evidence: s.evidence(all), Rule: won.rule.ID, Echo: won.rule.Echo, Guess: won.rule.Guess, Blank: won.rule.Blank, Entity: facts.value(won.rule.Entity), Rank: facts.rank(),
		tier: won.rule.tier(), score: won.score, same: expand(won.rule.Summary, facts.unranked),
	}
}

func (c candidate) line() int64 {
	if c.best == nil {
		return 1 << 62
	}
	return c.best.kept.line
}

// weigh returns a rule's candidate; its score is negative where nothing speaks for it.
func (s *Scanner) weigh(index int, rule *Rule, exit Exit) candidate {
	out := candidate{rule: rule, score: -1}
	switch {
	case len(rule.Needs) > 0 && !slices.ContainsFunc(rule.Needs, s.saw):
		return out
	case rule.Curve != "":
		if rule.Curve == s.curve.end() {
			out.best, out.score = &s.curve.since, rule.Weight
		}
		return out
	}
	for _, g := range []*sighting{&s.seen[index].first, &s.seen[index].last} {
		if g.kept.line <= s.finished && !rule.Sticky && !exit.failed() {
			continue
		}
		if score := rule.Weight + g.bonus - s.stepsSince(g, exit); g.ok && score > out.score {
			out.best, out.score = g, score
		}
	}
	if out.best == nil && rule.ends(exit) {
		out.score = rule.Weight
		for _, id := range rule.Needs {
			if g := s.newest(id); g != nil && (out.best == nil || g.kept.line > out.best.kept.line) {
				out.best = g
			}
		}
	}
	return out
}

// saw reports whether the rule of an ID has seen a line that counts.
func (s *Scanner) saw(id string) bool { return s.newest(id) != nil }

// newest is the newest line that counts of those that the rule of an ID has seen, nil without one.
func (s *Scanner) newest(id string) *sighting {
	e := &s.seen[slices.IndexFunc(s.rules.rules, func(r *Rule) bool { return r.ID == id })]
	switch {
	case e.last.ok:
		return &e.last
	case e.first.ok:
		return &e.first
	}
	return nil
}

// after counts the steps that were reported after a line.
func (s *Scanner) after(g *sighting) int64 { return s.curve.reports - g.steps }

// stepsSince is what the steps after a line take away from it: the process went on, all the more where nobody knows that it failed.
func (s *Scanner) stepsSince(g *sighting, exit Exit) int {
	n := s.after(g)
	if n <= stepsFree {
		return 0
	}
	each := stepsMinus
	if !exit.failed() {
		each = stepsMinusUnknown
	}
	return min(maxStepsMinus, each*bits.Len64(uint64(n/stepsFree)))
}

// survived reports whether the process of one error went on with its steps until another ended it.
func (s *Scanner) survived(c, end candidate) bool {
	if c.best == nil || end.best == nil || c.rule.Curve != "" || end.rule.Curve != "" || end.rule.tier() > 0 || end.best.bonus != endsBonus {
		return false
	}
	same := c.best.rank == end.best.rank || c.best.rank < 0 || end.best.rank < 0
	return same && s.after(c.best) > stepsFree && s.after(end.best) <= stepsFree
}

// nothing is the answer where no rule decides.
func nothing(exit Exit) Cause {
	c := Cause{Category: None, Summary: "Nothing in the output tells of a failure.", Evidence: []Evidence{}, Rank: -1, tier: 3}
	if exit.failed() {
		c.Category, c.Blank = Unknown, true
		c.Summary = "The process ended with " + exit.String() + ", and nothing in its output says why."
		c.Hint = "Read the last lines of its output, and the node's own logs."
	}
	return c
}

// evidence are the lines of the winner, and those of up to two other rules of its category, in the order of the log.
func (s *Scanner) evidence(all []candidate) []Evidence {
	out := []Evidence{}
	add := func(k kept) {
		text := clean(k.text, maxText)
		if text != "" && len(out) < MaxEvidence && !slices.ContainsFunc(out, func(e Evidence) bool { return e.Line == k.line }) {
			out = append(out, Evidence{k.line, text})
		}
	}
	others := 0
	for i, c := range all {
		if c.best == nil || c.rule.Category != all[0].rule.Category || others > 2 {
			continue
		}
		others++
		add(c.best.kept)
		if i > 0 {
			continue
		}
		add(c.best.frame)
		for _, k := range c.best.after[:c.best.more] {
			add(k)
		}
		if c.rule.Curve != "" {
			add(s.curve.newest)
		}
	}
	slices.SortFunc(out, func(a, b Evidence) int { return cmp.Compare(a.Line, b.Line) })
	return out
}
