package watch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

// TestAFailureThatNothingExplainsShowsTheLastLines has a worker killed without a word.
func TestAFailureThatNothingExplainsShowsTheLastLines(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{})
	r.startBoth()
	r.cluster.Print(r.child, 0, "one\ntwo\n\nthree\nfour\nfive\n\nCOTRAIN {\"v\":1,\"kind\":\"metrics\"}\nsix\n")
	r.cluster.Set(r.child, 0, func(w *run.Worker) {
		nomadtest.End(137)(w)
		w.Signal = 9
	})
	r.cluster.Set(r.child, 1, func(w *run.Worker) {
		nomadtest.End(0)(w)
		w.State, w.Exited = run.WorkerLost, false
	})
	c := r.becomes(run.Failed).Cause
	if c == nil || c.Category != run.UnknownCause || c.Exit != "signal 9" || c.Fingerprint != "unknown/signal-9" || !c.Tail || len(c.Victims) > 0 || c.Seen.Failures != 1 {
		t.Fatalf("the cause is %+v", c)
	}
	var lines []string
	for _, e := range c.Evidence {
		lines = append(lines, e.Text)
		if e.Pos == 0 {
			t.Errorf("%q has no link", e.Text)
		}
	}
	if !slices.Equal(lines, []string{"two", "three", "four", "five", "six"}) {
		t.Errorf("the last lines are %q", lines)
	}
}

// TestARefusedConfigurationIsOneAnswer has a worker end with the code for it, with retries and without.
func TestARefusedConfigurationIsOneAnswer(t *testing.T) {
	t.Parallel()
	for retries, want := range map[int]string{0: "submitted without retries", 2: "unchanged it would fail"} {
		r := newRetryRig(t, run.Options{Retries: retries})
		r.startBoth()
		for rank := range 2 {
			r.cluster.Print(r.child, rank, "trainer: no such thing\n")
			r.cluster.Set(r.child, rank, nomadtest.End(run.ExitUsage))
		}
		c := r.becomes(run.Failed).Cause
		if c == nil || c.Category != "config_invalid" || c.Retryable || c.Exit != "exit code 2" || !c.Tail || len(c.Evidence) != 1 || !strings.Contains(c.Retry.Why, want) {
			t.Errorf("%d retries: %+v", retries, c)
		}
	}
}

// TestAWorkerThatTrainedOnIsNoVictim has one end long after the other.
func TestAWorkerThatTrainedOnIsNoVictim(t *testing.T) {
	t.Parallel()
	r := newRetryRig(t, run.Options{})
	r.startBoth()
	now := time.Now()
	for rank, at := range []time.Time{now, now.Add(-time.Hour)} {
		r.cluster.Set(r.child, rank, func(w *run.Worker) {
			nomadtest.End(7)(w)
			w.EndedAt = at
		})
	}
	if c := r.becomes(run.Failed).Cause; c == nil || c.Rank != 1 || len(c.Victims) > 0 {
		t.Errorf("the cause is %+v", c)
	}
}
