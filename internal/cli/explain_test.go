package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
)

func TestExplainSaysWhatEachCodeMeans(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	rules, err := diagnose.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	list := c.cotrain("explain").want(t, exitDone)
	for _, k := range fault.Kinds() {
		e := k.Entry()
		c.cotrain("explain", string(k)).want(t, exitDone, "Error "+string(k), e.What, e.Why, e.Fix, e.Help)
		if !strings.Contains(list.out, string(k)) {
			t.Errorf("%s is not listed", string(k))
		}
	}
	for _, k := range rules.Categories() {
		c.cotrain("explain", k.Name).want(t, exitDone, "Cause "+k.Name, k.Meaning, k.Advice, k.Help())
	}
	c.cotrain("explain", "disk_full").want(t, exitDone, "Error disk_full", "Cause disk_full")
	c.cotrain("explain", "CUDA_OOM").want(t, exitDone, "Cause cuda_oom", "Retries without progress: 0")
	c.cotrain("explain", "Ecc-Error-Xid").want(t, exitDone, "Cause ecc_error_xid", "3, after 10s to 40s, on another node")
	c.cotrain("explain", "nonsense").want(t, exitUsage, `CODE = "nonsense"`, "cotrain explain")

	var all struct{ Errors, Causes []map[string]any }
	if err := json.Unmarshal([]byte(c.cotrain("explain", "--format", "json").want(t, exitDone).out), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Errors) != len(fault.Kinds()) || len(all.Causes) != len(rules.Categories()) || all.Errors[0]["why"] == "" {
		t.Errorf("%d errors, %d causes", len(all.Errors), len(all.Causes))
	}
}
