package e2e

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// kills is how often the console is killed in the middle of the run.
const kills = 20

// TestKillingTheConsoleLosesAndDoublesNothing kills the console (kill -9) twenty times at random moments of a run whose
// workers live in an agent of its own, and compares the samples and the log with those of the same run undisturbed.
// The trainer is deterministic, so the values must be the same ones.
func TestKillingTheConsoleLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	c, _, _, restart := agentConsole(t, "COTRAIN_TRAINER_PACE=150ms")
	disturbed(t, c, func(_ int, c *process) *process {
		c.kill()
		return restart(anyPort)
	})
}

// TestKillingTheDatabaseLosesAndDoublesNothing has PostgreSQL crash, or hang, or the console be killed.
func TestKillingTheDatabaseLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	database := pgtest.Start(t)
	c, _, _, restart := agentConsoleOn(t, database.URL(), "COTRAIN_TRAINER_PACE=150ms")
	c = disturbed(t, c, func(n int, c *process) *process {
		switch n % 4 {
		case 0:
			c.kill()
			return restart(anyPort)
		case 1:
			database.Pause()
			database.Resume()
		default:
			database.Stop()
			database.Restart()
		}
		return c
	})
	said := func(page string) bool { return strings.Contains(page, "PostgreSQL") }
	database.Stop()
	c.eventually("the page says that the database is away", func() bool { _, page, err := c.get("/"); return err == nil && said(page) })
	c.eventually("it is not ready", func() bool {
		status, _, err := c.get("/readyz")
		return err == nil && status == http.StatusServiceUnavailable
	})
	database.Restart()
	c.eventually("the page is there again", func() bool {
		status, page, err := c.get("/")
		return err == nil && status == http.StatusOK && !said(page)
	})
}

// disturbed compares a run during which the console or its database is disturbed, at random moments, with the same run
// undisturbed. It returns the last console.
func disturbed(t *testing.T, c *process, disturb func(n int, c *process) *process) *process {
	t.Helper()
	args := func(name string) []string { return shortRun(name, "--set", "optim.total_steps=120") }
	calm := c.submit(args("calm")...)
	c.becomes(calm, run.Succeeded)
	wild := c.submit(args("wild")...)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range kills {
		time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond) // a random moment, not a wait for something
		c = disturb(n, c)
	}
	c.eventually("it answers", func() bool {
		status, _, err := c.get("/api/v1/runs/" + string(wild))
		return err == nil && status == http.StatusOK
	})
	r := c.run(wild)
	if r.State.Terminal() {
		t.Logf("the run ended before the last kill")
	}
	r = c.becomes(wild, run.Succeeded)
	if r.Progress.Step != 120 {
		t.Errorf("it ended at step %d", r.Progress.Step)
	}
	for _, metric := range []string{"loss", "learning_rate", "total_tokens", "grad_norm"} {
		want, got := c.metrics(calm, metric), c.metrics(wild, metric)
		if len(want.Metrics[metric]) != 360 {
			t.Errorf("the undisturbed run has %d values of %s, want 120 of each of 3 workers", len(want.Metrics[metric]), metric)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s differs (-undisturbed +killed):\n%s", metric, d)
		}
	}
	if d := cmp.Diff(steps(c, calm), steps(c, wild)); d != "" {
		t.Errorf("log lines differ (-undisturbed +killed):\n%s", d)
	}
	c.checked()
	return c
}

// steps returns the log lines of every worker's steps without what depends on the clock, sorted.
func steps(c *process, id run.ID) []string {
	c.t.Helper()
	out, errs, code := c.cli("run", "logs", string(id))
	if code != 0 {
		c.t.Fatalf("logs: code %d\n%s", code, errs)
	}
	var lines []string
	for _, l := range strings.Split(out, "\n") {
		if i := strings.Index(l, "step: "); i >= 0 {
			l, _, _ = strings.Cut(l[i:], ", tokens_per_second")
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return lines
}
