package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestALogThatIsNotWholeIsAFailure whatever is read of it, and how: what is left of it is there.
func TestALogThatIsNotWholeIsAFailure(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := c.Add(run.Run{State: run.Succeeded})
	c.Log(id, 0, "one", "two")
	c.LoseLog(id, 0, "[CoTrain: lines of worker 0 are lost here]")
	c.Log(id, 0, "three")
	for _, args := range []string{"", "--stream stdout --raw", "--grep one", "--level error", "--hide CoTrain", "--tail 2", "--follow", "--format json", "--output " + t.TempDir() + "/f"} {
		r := c.cotrain(append([]string{"run", "logs", string(id), "--worker", "0"}, strings.Fields(args)...)...).want(t, exitFailed, "this is not all: lines are lost in 1 place")
		if !strings.Contains(args, "--output") && strings.Count(r.out, "lines of worker 0 are lost here") != 1 {
			t.Errorf("%s: %q", args, r.out)
		}
	}
	c.cotrain("run", "logs", string(id), "--tail", "1").want(t, exitDone)
}
