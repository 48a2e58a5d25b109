package trainconf

import "slices"

// StatedRules gives the tests of other packages' cases what the reference states.
func StatedRules(field string, warning bool) bool {
	return slices.ContainsFunc(statedRules[:], func(r statedRule) bool { return r.field == field && r.warning == warning })
}
