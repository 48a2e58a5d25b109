package localnomad

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/nomad/api"
)

// maxPattern bounds a regexp constraint in bytes.
const maxPattern = 4096

// resolveTarget returns what one side of a constraint stands for on a node.
func resolveTarget(target string, n *api.Node) (string, bool) {
	inner, ok := strings.CutPrefix(target, "${")
	if !ok {
		return target, true
	}
	inner = strings.TrimSuffix(inner, "}")
	switch inner {
	case "node.unique.id":
		return n.ID, true
	case "node.datacenter":
		return n.Datacenter, true
	case "node.unique.name":
		return n.Name, true
	case "node.class":
		return n.NodeClass, true
	case "node.pool":
		return n.NodePool, true
	}
	if name, ok := strings.CutPrefix(inner, "attr."); ok {
		v, ok := n.Attributes[name]
		return v, ok
	}
	if name, ok := strings.CutPrefix(inner, "meta."); ok {
		v, ok := n.Meta[name]
		return v, ok
	}
	return "", false
}

// meets reports whether a node meets a constraint. distinct_hosts and
// distinct_property depend on other placements and are checked apart.
func meets(c *api.Constraint, n *api.Node) bool {
	l, lok := resolveTarget(c.LTarget, n)
	r, rok := resolveTarget(c.RTarget, n)
	return checkOperator(c.Operand, l, r, lok, rok)
}

// checkOperator applies an operator to two resolved strings.
func checkOperator(op, l, r string, lok, rok bool) bool {
	both := lok && rok
	switch op {
	case api.ConstraintDistinctHosts, api.ConstraintDistinctProperty:
		return true
	case "=", "==", "is":
		return both && l == r
	case "!=", "not":
		return l != r // an absent side is the empty text
	case "<", "<=", ">", ">=":
		return both && inOrder(op, l, r)
	case api.ConstraintAttributeIsSet:
		return lok
	case api.ConstraintAttributeIsNotSet:
		return !lok
	case api.ConstraintVersion:
		return both && versionMatches(l, r)
	case api.ConstraintSemver:
		return both && semverMatches(l, r)
	case api.ConstraintRegex:
		return both && patternMatches(l, r)
	case api.ConstraintSetContains, api.ConstraintSetContainsAll:
		return both && setContains(l, r, true)
	case api.ConstraintSetContainsAny:
		return both && setContains(l, r, false)
	}
	return false
}

// inOrder compares as integers if both are, else as floats if both are, else
// as text.
func inOrder(op, l, r string) bool {
	if a, err := strconv.ParseInt(l, 10, 64); err == nil {
		if b, err := strconv.ParseInt(r, 10, 64); err == nil {
			return ordered(op, cmp.Compare(a, b))
		}
	}
	if a, err := strconv.ParseFloat(l, 64); err == nil {
		if b, err := strconv.ParseFloat(r, 64); err == nil {
			return ordered(op, cmp.Compare(a, b))
		}
	}
	return ordered(op, cmp.Compare(l, r))
}

func ordered(op string, order int) bool {
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	}
	return false
}

// versionMatches compares loosely: pre-releases only match constraints of
// their own version, as go-version has it.
func versionMatches(l, r string) bool {
	v, err := version.NewVersion(l)
	if err != nil {
		return false
	}
	c, err := version.NewConstraint(r)
	return err == nil && c.Check(v)
}

// semverMatches compares strictly by SemVer 2.0 precedence: a pre-release
// comes before its release and matches wherever its precedence does; "~>" is
// not SemVer and matches nothing.
func semverMatches(l, r string) bool {
	v, err := version.NewVersion(l)
	if err != nil {
		return false
	}
	for part := range strings.SplitSeq(r, ",") {
		op, text := splitSemver(part)
		want, err := version.NewSemver(text)
		if err != nil {
			return false
		}
		order := v.Compare(want)
		switch op {
		case "", "=":
			if order != 0 {
				return false
			}
		case "!=":
			if order == 0 {
				return false
			}
		default:
			if !ordered(op, order) {
				return false
			}
		}
	}
	return true
}

func splitSemver(part string) (op, rest string) {
	part = strings.TrimSpace(part)
	for _, op := range []string{">=", "<=", "!=", ">", "<", "="} {
		if rest, ok := strings.CutPrefix(part, op); ok {
			return op, strings.TrimSpace(rest)
		}
	}
	return "", part
}

func patternMatches(text, pattern string) bool {
	if len(pattern) > maxPattern {
		return false
	}
	re, err := regexp.Compile(pattern)
	return err == nil && re.MatchString(text)
}

func setContains(l, r string, all bool) bool {
	have := map[string]bool{}
	for item := range strings.SplitSeq(l, ",") {
		have[strings.TrimSpace(item)] = true
	}
	for item := range strings.SplitSeq(r, ",") {
		if have[strings.TrimSpace(item)] != all {
			return !all
		}
	}
	return all
}

// distinctHosts reports whether the constraints hold an enabled distinct_hosts.
func distinctHosts(constraints []*api.Constraint) bool {
	for _, c := range constraints {
		if c.Operand == api.ConstraintDistinctHosts {
			enabled, err := strconv.ParseBool(c.RTarget)
			return c.RTarget == "" || err != nil || enabled
		}
	}
	return false
}

// constraintText is a constraint as Nomad names it in ConstraintFiltered.
func constraintText(c *api.Constraint) string {
	return c.LTarget + " " + c.Operand + " " + c.RTarget
}

func checkVersionConstraint(text string) error {
	_, err := version.NewConstraint(text)
	return err
}

func semverValid(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		_, v := splitSemver(part)
		if _, err := version.NewSemver(v); err != nil {
			return false
		}
	}
	return true
}
