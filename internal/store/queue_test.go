package store_test

import (
	"strings"
	"testing"
)

// TestTheQueueSearchesIndexesAndReadsNoTable holds that a look at the queue does not cost more when more runs wait: every
// step that touches runs is a search in an index.
func TestTheQueueSearchesIndexesAndReadsNoTable(t *testing.T) {
	t.Parallel()
	plans, err := open(t, t.TempDir()).QueuePlans(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, indexes := range map[string][]string{
		"dispatching":          {"runs_by_state (state=?)", "attempts_maybe_sent", "SEARCH r USING INDEX runs_by_state (state=? AND id=?)"},
		"readyGroups":          {"runs_ready (sweep=? AND shape>?)", "runs_ready (sweep>?)", "runs_by_sweep_state (sweep=? AND state=?)"},
		"readyOf":              {"runs_ready (sweep=? AND shape=?)"},
		"unplaced":             {"runs_by_state (state=?)", "workers_by_run (run_id=? AND attempt=?)"},
		"line":                 {"SCAN runs USING INDEX runs_line"},          // of which three are read
		"places":               {"SCAN runs USING COVERING INDEX runs_line"}, // to count; for a page only
		"readyWithOtherReason": {"runs_ready_reason (sweep=? AND reason<?)", "runs_ready_reason (sweep=? AND reason>?)"},
		"anyDue":               {"runs_by_not_before (not_before>? AND not_before<?)"},
		"releaseDue":           {"runs_by_not_before (not_before>? AND not_before<?)"},
		"allExpired":           {"runs_by_expiry (<expr><?)"},
	} {
		plan := strings.Join(plans[name], "\n")
		for _, index := range indexes {
			if !strings.Contains(plan, index) {
				t.Errorf("%s does not search %s:\n%s", name, index, plan)
			}
		}
		for _, step := range plans[name] {
			if strings.HasPrefix(step, "SCAN r") && !strings.HasSuffix(step, "INDEX runs_line") {
				t.Errorf("%s reads all runs: %s", name, step)
			}
		}
	}
}
