package e2e

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestRunsStartByPriorityAndOnlyWhole fills the cluster, and has a large and small runs wait for it.
func TestRunsStartByPriorityAndOnlyWhole(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_DEV_NODES=2", "COTRAIN_DEV_GPUS=2")
	gpus := func(name string, nodes, priority string, more ...string) run.ID {
		return c.submit(shortRun(name, append([]string{"--nodes", nodes, "--gpus", "1", "--priority", priority, "--set", "optim.total_steps=30"}, more...)...)...)
	}
	first := gpus("first", "3", "50", "--set", "optim.total_steps=100000")
	c.eventually("the first trains", func() bool { return c.run(first).State == run.Running })
	low := gpus("low", "1", "10")
	large := gpus("large", "4", "90", "--set", "optim.total_steps=60")
	last := gpus("last", "1", "50")
	small := gpus("beside", "1", "50", "--gpus", "0")
	c.becomes(small, run.Succeeded) // it takes nothing from those that need GPUs
	c.becomes(low, run.Succeeded)   // it came before the large one, and there was a place
	c.eventually("the large one waits for room", func() bool { return strings.Contains(c.run(large).Reason, "4 nodes with 1 x any GPU") })
	c.eventually("the last waits for the large one", func() bool { return strings.Contains(c.run(last).Reason, string(large)) })
	if out, errs, code := c.cli("run", "show", string(last)); code != 0 || !strings.Contains(out, "2nd in the queue, behind large ("+string(large)+")") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if _, page, err := c.get("/runs/" + string(last)); err != nil || !strings.Contains(page, "2nd in the queue") {
		t.Errorf("the page does not say where it stands, %v", err)
	}
	if _, errs, code := c.cli("run", "stop", string(first), "--wait"); code != 0 {
		t.Fatalf("stop: code %d\n%s", code, errs)
	}
	c.becomes(large, run.Succeeded)
	c.becomes(last, run.Succeeded)
	if l, s := c.run(large), c.run(last); s.StartedAt.Before(l.StartedAt) || l.Attempt != 1 || s.Attempt != 1 {
		t.Errorf("the last started at %s, the large one at %s, in attempts %d and %d", s.StartedAt, l.StartedAt, s.Attempt, l.Attempt)
	}
}
