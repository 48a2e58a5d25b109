package diagnose

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

//go:embed rules/*.toml
var builtin embed.FS

// Rules are compiled rules, fit for concurrent use.
type Rules struct {
	rules      []*Rule
	markers    []*Marker
	facts      []Fact
	categories []Category

	finder *finder
	texts  []string // of the finder
	digits func() *digits
	// owners are those of each text of the finder.
	owners [][]owner
	shaped []int // rules for any line of a shape
	plain  []int // markers without texts
}

// owner is who asked for a text.
type owner struct {
	index int
	role  role
}

// role is what a text means to its owner.
type role uint8

const (
	ofStructure role = iota
	ofMarker
	ofRule // the rule may match
	vetoes // the rule does not match
)

// Category is a kind of cause, with what it means and what to do in general.
type Category struct {
	Name    string `toml:"name"`
	Title   string `toml:"title"`
	Meaning string `toml:"meaning"`
	Advice  string `toml:"advice"`
	// Spoils marks what makes a successful end worthless; no other cause stands against one.
	Spoils bool `toml:"spoils"`
	// Console marks what the console itself decides, by no rule.
	Console bool `toml:"console"`
	// Retries and what follows say how failures of the category are retried; see [run.RetryRule].
	Retries         int      `toml:"retries"`
	Wait            duration `toml:"wait"`
	LongestWait     duration `toml:"longest_wait"`
	OtherNode       bool     `toml:"other_node"`
	OlderCheckpoint bool     `toml:"older_checkpoint"`
	EntityEnds      bool     `toml:"entity_ends"`
	Never           bool     `toml:"never"`
}

// Help is where on a console the category is described.
func (c Category) Help() string { return run.CauseHelp(c.Title) }

// file is what a file of rules holds.
type file struct {
	Category []Category `toml:"category"`
	Rule     []Rule     `toml:"rule"`
	Marker   []Marker   `toml:"marker"`
	Fact     []Fact     `toml:"fact"`
}

// spoils reports whether a cause makes a successful end worthless.
func (r *Rules) spoils(category string) bool {
	return slices.ContainsFunc(r.categories, func(c Category) bool { return c.Spoils && c.Name == category })
}

// Builtin returns the rules that come with the program.
func Builtin() (*Rules, error) {
	names, err := builtin.ReadDir("rules")
	if err != nil {
		return nil, err
	}
	r := &Rules{}
	for _, entry := range names {
		data, err := builtin.ReadFile(path.Join("rules", entry.Name()))
		if err != nil {
			return nil, err
		}
		if err := r.add(entry.Name(), data); err != nil {
			return nil, err
		}
	}
	return r, r.compile("rules")
}

// Current returns the rules themselves: they are a source of rules that never change.
func (r *Rules) Current(context.Context) *Rules { return r }

// With returns these rules with those of a file of TOML: a rule or marker with the ID of another takes its place. Errors are
// [*RuleError].
func (r *Rules) With(name string, data []byte) (*Rules, error) {
	out := &Rules{rules: slices.Clone(r.rules), markers: slices.Clone(r.markers), facts: slices.Clone(r.facts), categories: slices.Clone(r.categories)}
	if err := out.add(name, data); err != nil {
		return nil, err
	}
	own := 0
	for _, rule := range out.rules {
		if rule.file == name {
			own += steps(rule.Match) + steps(rule.Unless) + steps(rule.UnlessFrame)
			for _, e := range rule.Facts {
				own += steps(e)
			}
		}
	}
	for _, m := range out.markers {
		if m.file == name {
			own += steps(m.Match) + steps(m.Unless)
		}
	}
	switch n := len(out.facts) - len(r.facts); {
	case own > maxOwnSteps:
		return nil, &RuleError{File: name, Problem: fmt.Sprintf("has expressions of %d instructions together, of at most %d", own, maxOwnSteps), Fix: "repeat less in them, or leave them out where a text says enough"}
	case len(out.categories) > len(r.categories):
		return nil, &RuleError{File: name, Field: "category", Problem: "makes a category of its own", Fix: "use one of docs/troubleshooting.md: programs know no other"}
	case n > maxOwnFacts:
		return nil, &RuleError{File: name, Field: "fact", Problem: fmt.Sprintf("makes %d facts of at most %d", n, maxOwnFacts), Fix: "put expressions into the facts of a rule"}
	}
	if err := out.compile(name); err != nil {
		return nil, err
	}
	return out, nil
}

// Categories are all categories that rules may give.
func (r *Rules) Categories() []Category { return slices.Clone(r.categories) }

// Of returns the rules of a category, in the order of the files.
func (r *Rules) Of(category string) []Rule {
	var out []Rule
	for _, rule := range r.rules {
		if rule.Category == category {
			out = append(out, *rule)
		}
	}
	return out
}

// add reads a file and checks each rule by itself.
func (r *Rules) add(name string, data []byte) error {
	if len(data) > MaxFile {
		return &RuleError{File: name, Problem: fmt.Sprintf("has more than %d bytes", MaxFile), Fix: "remove rules that never decide"}
	}
	var f file
	meta, err := toml.Decode(string(data), &f)
	if err != nil {
		return &RuleError{File: name, Problem: "is no TOML: " + fault.Quote(err.Error()), Fix: "start each rule with [[rule]]"}
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return &RuleError{File: name, Field: unknown[0].String(), Problem: "is no field of a rule", Fix: "docs/development.md has the fields"}
	}
	if n := len(f.Rule) + len(f.Marker); n > MaxOwn {
		return &RuleError{File: name, Problem: fmt.Sprintf("has %d rules and markers of at most %d", n, MaxOwn), Fix: "make one rule of those that say the same"}
	}
	r.categories = append(r.categories, f.Category...)
	for _, fact := range f.Fact {
		c := check{file: name}
		if fact.match = c.expr("match", fact.Match); fact.match == nil || fact.match.NumSubexp() == 0 {
			c.fail("match", fact.Match, "has no group", "name what is found, such as (?P<path>/\\S+)")
		}
		if c.first != nil {
			return c.first
		}
		r.facts = append(r.facts, fact)
	}
	for i := range f.Rule {
		rule := &f.Rule[i]
		rule.file = name
		at := slices.IndexFunc(r.rules, func(old *Rule) bool { return old.ID == rule.ID })
		if at >= 0 && r.rules[at].file == name {
			return &RuleError{File: name, Rule: rule.ID, Field: "id", Value: rule.ID, Problem: "is there twice", Fix: "name each rule differently"}
		}
		if rule.Off && rule.ID != "" {
			if at < 0 {
				return &RuleError{File: name, Rule: rule.ID, Field: "off", Problem: "turns off a rule that is not there", Fix: "name one of docs/troubleshooting.md"}
			}
			r.rules = slices.Delete(r.rules, at, at+1)
			continue
		}
		if err := r.checkRule(rule); err != nil {
			return err
		}
		if at >= 0 {
			r.rules[at] = rule
		} else {
			r.rules = append(r.rules, rule)
		}
	}
	for i := range f.Marker {
		m := &f.Marker[i]
		m.file = name
		if err := r.checkMarker(name, m); err != nil {
			return err
		}
		if at := slices.IndexFunc(r.markers, func(old *Marker) bool { return old.ID == m.ID }); at >= 0 {
			r.markers[at] = m
		} else {
			r.markers = append(r.markers, m)
		}
	}
	return nil
}

// compile checks rules against each other and makes the finder.
func (r *Rules) compile(name string) error {
	if n := len(r.rules) + len(r.markers); n > maxRules {
		return &RuleError{File: name, Problem: fmt.Sprintf("makes %d rules and markers of at most %d", n, maxRules), Fix: "remove some, or turn off rules with off = true"}
	}
	ids := map[string]bool{}
	for _, rule := range r.rules {
		ids[rule.ID] = true
	}
	for _, rule := range r.rules {
		for _, need := range rule.Needs {
			if !ids[need] {
				return &RuleError{File: rule.file, Rule: rule.ID, Field: "needs", Value: need, Problem: "is no rule", Fix: "name the id of one"}
			}
		}
	}
	var texts []string
	index := map[string]int{}
	own := func(any []string, o owner) {
		for _, text := range any {
			key := strings.ToLower(text)
			at, ok := index[key]
			if !ok {
				at = len(texts)
				index[key] = at
				texts, r.owners = append(texts, text), append(r.owners, nil)
			}
			r.owners[at] = append(r.owners[at], o)
		}
	}
	for _, text := range structure {
		own([]string{text}, owner{})
	}
	for i, m := range r.markers {
		own(m.Any, owner{i, ofMarker})
		if len(m.Any) == 0 {
			r.plain = append(r.plain, i)
		}
	}
	for i, rule := range r.rules {
		own(rule.Any, owner{i, ofRule})
		own(rule.None, owner{i, vetoes})
		if len(rule.Any) == 0 && rule.Shape != "" {
			r.shaped = append(r.shaped, i)
		}
	}
	r.finder, r.texts = newFinder(texts), texts
	r.digits = sync.OnceValue(r.newDigits) // few logs need them
	return nil
}
