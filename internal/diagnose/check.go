package diagnose

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

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
	// maxSteps bounds the instructions of a compiled expression: for each byte of a line, matching may take as many steps.
	maxSteps = 2000
	// maxOwnSteps bounds those of a further file together.
	maxOwnSteps = 12_000
	// maxOwnFacts and MaxOwn bound what a further file adds.
	maxOwnFacts = 20
	MaxOwn      = 200 // rules and markers
)

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

func (r *Rules) checkMarker(name string, m *Marker) error {
	c := check{file: name, rule: m.ID}
	c.id(m.ID)
	if len(m.Any) > 0 || m.Match == "" {
		c.texts("any", m.Any)
	}
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
	rule.unlessFrame = c.expr("unless_frame", rule.UnlessFrame)
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
	for _, k := range r.categories {
		if k.Name == rule.Category && rule.Retryable && k.Retries == 0 {
			c.fail("retryable", "true", "contradicts "+k.Name+", which is not retried", "leave it out, or use a category that is retried")
		}
	}
	if rule.Blank && (rule.Retryable || rule.Category != Unknown) {
		c.fail("blank", "true", "is for rules of "+Unknown+" that are not retryable", "leave it out")
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
		var bad *syntax.Error
		if errors.As(err, &bad) {
			why = bad.Code.String()
		}
		c.fail(field, text, "is no regular expression: "+why, "use RE2's syntax (no look-around, no back references), in single quotes")
	}
	if n := steps(text); n > maxSteps {
		c.fail(field, text, fmt.Sprintf("compiles to %d instructions of at most %d", n, maxSteps), "repeat less: {1,50} makes fifty copies")
		return nil
	}
	return e
}

// steps counts the instructions of an expression.
func steps(text string) int {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}

func (c *check) words(field, text string) {
	if strings.TrimSpace(text) == "" || len(text) > maxWords || strings.ContainsAny(text, "\n\r") {
		c.fail(field, text, "is empty or too long", fmt.Sprintf("use one line of at most %d bytes", maxWords))
	}
}
