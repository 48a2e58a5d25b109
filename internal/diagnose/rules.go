package diagnose

import (
	"embed"
	"fmt"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/fault"
)

// Bounds of a file of rules.
const (
	MaxFile  = 256 << 10 // bytes
	maxRules = 1000      // of all files together
	maxTexts = 60        // of a rule
	maxLong  = 200       // bytes of a text to search for
	maxExpr  = 1000      // bytes of an expression
	maxMore  = 4
	maxFacts = 8
	maxWords = 500 // bytes of a summary or hint
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
	// owners are those of each text of the finder.
	owners [][]owner
	shaped []int // rules for any line of a shape
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
}

// file is what a file of rules holds.
type file struct {
	Category []Category `toml:"category"`
	Rule     []Rule     `toml:"rule"`
	Marker   []Marker   `toml:"marker"`
	Fact     []Fact     `toml:"fact"`
}

// RuleError is a broken field of a rule.
type RuleError struct {
	File, Rule, Field, Value string
	Problem, Fix             string // what is wrong, and what passes
}

func (e *RuleError) Error() string {
	text := e.File
	if e.Rule != "" {
		text += ": rule " + fault.Quote(e.Rule)
	}
	if e.Field != "" {
		text += ": " + e.Field
	}
	if e.Value != "" {
		text += " = " + fmt.Sprintf("%q", fault.Quote(e.Value))
	}
	return text + " " + e.Problem + "; " + e.Fix
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

// With returns these rules with those of a file of TOML: a rule or marker with the ID of another takes its place. Errors are
// [*RuleError].
func (r *Rules) With(name string, data []byte) (*Rules, error) {
	out := &Rules{rules: slices.Clone(r.rules), markers: slices.Clone(r.markers), facts: slices.Clone(r.facts), categories: slices.Clone(r.categories)}
	if err := out.add(name, data); err != nil {
		return nil, err
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
	}
	for i, rule := range r.rules {
		own(rule.Any, owner{i, ofRule})
		own(rule.None, owner{i, vetoes})
		if len(rule.Any) == 0 && rule.Shape != "" {
			r.shaped = append(r.shaped, i)
		}
	}
	r.finder = newFinder(texts)
	return nil
}

func (r *Rules) checkMarker(name string, m *Marker) error {
	c := check{file: name, rule: m.ID}
	c.id(m.ID)
	c.texts("any", m.Any)
	m.match, m.unless = c.expr("match", m.Match), c.expr("unless", m.Unless)
	switch m.Effect {
	case ignore, handled, finished:
	case recovered:
		if len(m.Clears) == 0 {
			c.fail("clears", "", "is empty", "name the categories that are over")
		}
		for _, category := range m.Clears {
			c.category("clears", category, r.categories)
		}
	default:
		c.fail("effect", m.Effect, "is no effect", "use ignore, handled, recovered or finished")
	}
	if m.Reach < 0 || m.Reach > 1000 {
		c.fail("reach", fmt.Sprint(m.Reach), "is out of range", "use 0 to 1000 lines")
	}
	return c.err()
}

func (r *Rules) checkRule(rule *Rule) error {
	c := check{file: rule.file, rule: rule.ID}
	c.id(rule.ID)
	c.category("category", rule.Category, r.categories)
	switch {
	case len(rule.Any) > 0:
		c.texts("any", rule.Any)
	case rule.Shape == "" && len(rule.Exit) == 0 && rule.Curve == "":
		c.fail("any", "", "is empty", `name a text that every such line has, such as any = ["out of memory"]`)
	}
	if rule.Shape != "" && rule.Shape != "exception" {
		c.fail("shape", rule.Shape, "is no shape", `use "exception", or leave it out`)
	}
	if rule.Curve != "" && rule.Curve != "nan" && rule.Curve != "spike" {
		c.fail("curve", rule.Curve, "is no end of a curve", "use nan or spike, or leave it out")
	}
	for _, exit := range rule.Exit {
		if !exitForm.MatchString(exit) {
			c.fail("exit", exit, "is no end of a process", `use "oom-killed", "signal 11", "code 3" or "failed"`)
		}
	}
	if len(rule.None) > 0 {
		c.texts("none", rule.None)
	}
	rule.match, rule.unless = c.expr("match", rule.Match), c.expr("unless", rule.Unless)
	if len(rule.Facts) > maxFacts {
		c.fail("facts", "", fmt.Sprintf("has %d expressions", len(rule.Facts)), fmt.Sprintf("use at most %d", maxFacts))
	}
	rule.facts = nil
	for _, text := range append([]string{rule.Match}, rule.Facts...) {
		if e := c.expr("facts", text); e != nil && e.NumSubexp() > 0 {
			rule.facts = append(rule.facts, e)
		}
	}
	if rule.More < 0 || rule.More > maxMore {
		c.fail("more", fmt.Sprint(rule.More), "is out of range", fmt.Sprintf("use 0 to %d lines", maxMore))
	}
	if rule.Weight < 1 || rule.Weight > 100 {
		c.fail("weight", fmt.Sprint(rule.Weight), "is out of range", "use 1 to 100; 70 for a text that means one thing")
	}
	c.words("summary", rule.Summary)
	c.words("hint", rule.Hint)
	for _, name := range factNames(rule.Summary) {
		if !r.knows(rule, name) {
			c.fail("summary", "{"+name+"}", "is no fact", "name a group of match or facts, or one of "+strings.Join(ownFacts, ", "))
		}
	}
	if rule.Entity != "" && !r.knows(rule, rule.Entity) {
		c.fail("entity", rule.Entity, "is no fact", "name a group of match or facts, or one of "+strings.Join(ownFacts, ", "))
	}
	return c.err()
}

// ownFacts are those that need no group: of the line's head, of the traceback above it, and of the end of the process.
var ownFacts = []string{"rank", "at", "exit", "exception", "message", "step", "loss", "low"}

// knows reports whether a rule may find a fact.
func (r *Rules) knows(rule *Rule, fact string) bool {
	named := func(e *regexp.Regexp) bool {
		return slices.ContainsFunc(e.SubexpNames(), func(name string) bool { return factName(name) == fact })
	}
	return slices.Contains(ownFacts, fact) || slices.ContainsFunc(rule.facts, named) ||
		slices.ContainsFunc(r.facts, func(f Fact) bool { return named(f.match) })
}

// factName is what a group finds: path for path2.
func factName(group string) string { return strings.TrimRight(group, "0123456789") }

var (
	exitForm = regexp.MustCompile(`^(oom-killed|failed|signal \d{1,2}|code \d{1,3})$`)
	idForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	factForm = regexp.MustCompile(`\{([^}]*)\}`)
)

func factNames(summary string) []string {
	var out []string
	for _, m := range factForm.FindAllStringSubmatch(summary, -1) {
		out = append(out, m[1])
	}
	return out
}

// check keeps the first thing that is wrong with a rule.
type check struct {
	file, rule string
	first      error
}

func (c *check) err() error { return c.first }

func (c *check) fail(field, value, problem, fix string) {
	if c.first == nil {
		c.first = &RuleError{c.file, c.rule, field, value, problem, fix}
	}
}

func (c *check) id(id string) {
	if !idForm.MatchString(id) {
		c.fail("id", id, "is no ID", "use 1 to 40 lower-case letters, digits and -, such as acme-licence")
	}
}

func (c *check) category(field, name string, known []Category) {
	if !slices.ContainsFunc(known, func(k Category) bool { return k.Name == name }) {
		c.fail(field, name, "is no category", "use one of docs/troubleshooting.md, such as python_exception")
	}
}

func (c *check) texts(field string, texts []string) {
	if len(texts) == 0 || len(texts) > maxTexts {
		c.fail(field, "", fmt.Sprintf("has %d texts", len(texts)), fmt.Sprintf("use 1 to %d", maxTexts))
	}
	for _, text := range texts {
		if len(text) < minText || len(text) > maxLong || strings.ContainsAny(text, "\n\r\x1b\x00") {
			c.fail(field, text, fmt.Sprintf("has %d bytes or is not of one line", len(text)), fmt.Sprintf("use %d to %d bytes of one line", minText, maxLong))
		}
	}
}

func (c *check) expr(field, text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	if len(text) > maxExpr {
		c.fail(field, text, fmt.Sprintf("has more than %d bytes", maxExpr), "make two rules of it")
		return nil
	}
	e, err := regexp.Compile(text)
	if err != nil {
		why := err.Error()
		if bad, ok := err.(*syntax.Error); ok {
			why = bad.Code.String()
		}
		c.fail(field, text, "is no regular expression: "+why, "use RE2's syntax (no look-around, no back references), in single quotes")
	}
	return e
}

func (c *check) words(field, text string) {
	if strings.TrimSpace(text) == "" || len(text) > maxWords || strings.ContainsAny(text, "\n\r") {
		c.fail(field, text, "is empty or too long", fmt.Sprintf("use one line of at most %d bytes", maxWords))
	}
}
