package queue_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
)

// The launch script finds each worker's own part of a checkpoint that it is told of, and of no other.
func TestWorkersWithPartsOfTheirOwnAreToldWhatTheConfigurationResumesFrom(t *testing.T) {
	t.Parallel()
	const resuming = "[ckpt]\nresume = \"models/same/step_30\"\n[train]\n[diloco]\ninner_steps = 10\n"
	for _, tc := range []struct {
		name         string
		nodes, inner int
		config       string
		attempt      string // what the attempt resumes from
		want         string
	}{
		{"two workers with DiLoCo", 2, 10, resuming, "", "models/same/step_30"},
		{"an attempt that goes on from a checkpoint of the run", 2, 10, resuming, "models/own/step_40", "models/own/step_40"},
		{"one worker", 1, 10, resuming, "", ""},
		{"one world", 2, 0, "[ckpt]\nresume = \"models/same/step_30\"\n[train]\n", "", ""},
		{"nothing to resume from", 2, 10, "[train]\n[diloco]\ninner_steps = 10\n", "", ""},
		{"a configuration of another version", 2, 10, "gone = 1\n" + resuming, "", ""},
	} {
		r := run.Run{ID: "r-0000000001", Config: tc.config, Shape: run.Shape{Nodes: tc.nodes}, InnerSteps: int64(tc.inner)}
		if got := queue.DispatchOf(r, run.Attempt{RunID: r.ID, Number: 1, Resume: tc.attempt}).Resume; got != tc.want {
			t.Errorf("%s: told %q, want %q", tc.name, got, tc.want)
		}
	}
}
