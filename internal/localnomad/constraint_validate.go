package localnomad

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

func checkConstraints(p *problems, constraints []*api.Constraint) {
	for i, c := range constraints {
		if err := checkConstraint(c); err != nil {
			p.add("Constraint %d validation failed: %s", i+1, err)
		}
	}
}

// checkConstraint refuses operators that do not exist and right sides they
// cannot use.
func checkConstraint(c *api.Constraint) error {
	var p problems
	needsTarget := true
	switch c.Operand {
	case "":
		p.add("Missing constraint operand")
	case api.ConstraintDistinctHosts:
		needsTarget = false
	case api.ConstraintSetContains, api.ConstraintSetContainsAll, api.ConstraintSetContainsAny:
		if c.RTarget == "" {
			p.add("Set contains constraint requires an RTarget")
		}
	case api.ConstraintRegex:
		if _, err := regexp.Compile(c.RTarget); err != nil {
			p.add("Regular expression failed to compile: %v", err)
		}
	case api.ConstraintVersion:
		if err := checkVersionConstraint(c.RTarget); err != nil {
			p.add("Version constraint is invalid: %v", err)
		}
	case api.ConstraintSemver:
		if !semverValid(c.RTarget) {
			p.add("Semver constraint is invalid: Malformed constraint: %s", c.RTarget)
		}
	case api.ConstraintDistinctProperty:
		if c.RTarget != "" {
			n, err := strconv.ParseUint(c.RTarget, 10, 64)
			if err != nil || n == 0 {
				p.add("Distinct Property must have an allowed count of 1 or greater: %q", c.RTarget)
			}
		}
	case api.ConstraintAttributeIsSet, api.ConstraintAttributeIsNotSet:
		if c.RTarget != "" {
			p.add("Operator %q does not support an RTarget", c.Operand)
		}
	case "=", "==", "is", "!=", "not", "<", "<=", ">", ">=":
		if c.RTarget == "" {
			p.add("Operator %q requires an RTarget", c.Operand)
		}
	default:
		p.add("Unknown constraint type %q", c.Operand)
	}
	if needsTarget && c.LTarget == "" {
		p.add("no attribute provided but is required by operator")
	}
	return p.err()
}

// addSignalConstraints asks for nodes that can send the signals the job uses,
// as Nomad does when it registers a job.
func addSignalConstraints(job *api.Job) {
	const target = "${attr.os.signals}"
	for _, tg := range job.TaskGroups {
		var signals []string
		for _, t := range tg.Tasks {
			if t.KillSignal != "" {
				signals = append(signals, t.KillSignal)
			}
			for _, tmpl := range t.Templates {
				if deref(tmpl.ChangeMode) == changeSignal && deref(tmpl.ChangeSignal) != "" {
					signals = append(signals, *tmpl.ChangeSignal)
				}
			}
		}
		if len(signals) == 0 {
			continue
		}
		slices.Sort(signals)
		want := strings.Join(slices.Compact(signals), ",")
		there := slices.ContainsFunc(tg.Constraints, func(c *api.Constraint) bool {
			return c.LTarget == target && c.RTarget == want && c.Operand == api.ConstraintSetContains
		})
		if !there {
			tg.Constraints = append(tg.Constraints, &api.Constraint{LTarget: target, RTarget: want, Operand: api.ConstraintSetContains})
		}
	}
}
