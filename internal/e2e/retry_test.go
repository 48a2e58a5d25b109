package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// attempts are those of a run, oldest first.
func (p *process) attempts(id run.ID) []run.Attempt {
	p.t.Helper()
	got, err := getJSON[struct{ Attempts []run.Attempt }](p, "/api/v1/runs/"+string(id))
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Attempts
}

// told reports whether an event of a run says a text.
func (p *process) told(id run.ID, text string) bool {
	p.t.Helper()
	got, err := getJSON[struct{ Items []run.Event }](p, "/api/v1/runs/"+string(id)+"/events?limit=1000")
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.ContainsFunc(got.Items, func(ev run.Event) bool { return strings.Contains(ev.Message, text) })
}

// oneWorker is a run that saves a checkpoint every ten of its 40 steps.
var oneWorker = []string{"--nodes", "1", "--gpus", "0", "--preset", "debug", "--set", "optim.total_steps=40", "--set", "ckpt.path=models/checkpoints/{run}", "--set", "ckpt.interval=10"}

// TestFailuresAreFollowedAsTheirCauseDeserves has real trainers fail in an attempt each, and looks at what follows.
func TestFailuresAreFollowedAsTheirCauseDeserves(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, faults string
		more         []string
		resumes      []string // the step that each attempt continues from, "" for none
		want         run.State
		reason       string // part of the final one
	}{
		{"killed", "kill@23#1", []string{"--retries", "3"}, []string{"", "20"}, run.Succeeded, ""},
		{"killed at the same step", "kill@23", []string{"--retries", "3"}, []string{"", "20"}, run.Failed, "no progress since step 23, and it failed of the same cause as attempt 1; 1 of 1 retry used"},
		{"killed each time later", "kill@13#1,kill@24#2,kill@33#3", []string{"--retries", "1"}, []string{"", "10", "20", "30"}, run.Succeeded, ""},
		{"an invalid configuration", "exit2@1", []string{"--retries", "3"}, []string{""}, run.Failed, "unchanged it would fail in the same way"},
		{"the same damaged file", "bad-dataset@23", []string{"--retry", "dataset_corrupt=5"}, []string{"", "20"}, run.Failed, "has failed before, so it would again"},
		{"a checkpoint that cannot be loaded", "kill@23#1,bad-checkpoint@21#2", []string{"--retries", "3"}, []string{"", "20", "10"}, run.Succeeded, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_FAULT="+tc.faults)
			id := c.submit(append(append([]string{"--name", tc.name}, tc.more...), oneWorker...)...)
			r := c.becomes(id, tc.want)
			if !strings.Contains(r.Reason, tc.reason) {
				t.Errorf("it ended because %q", r.Reason)
			}
			attempts := c.attempts(id)
			if len(attempts) != len(tc.resumes) {
				t.Fatalf("%d attempts, want %d: %+v", len(attempts), len(tc.resumes), attempts)
			}
			for i, step := range tc.resumes {
				want := ""
				if step != "" {
					want = "models/checkpoints/" + string(id) + "/step_" + step
				}
				if a := attempts[i]; a.Resume != want || i < len(attempts)-1 && (a.Cause == nil || a.Cause.Retry == nil || !a.Cause.Retry.Again) {
					t.Errorf("attempt %d continues from %q, want %q; its end is %+v", i+1, a.Resume, want, a.Cause)
				}
			}
			if tc.want == run.Failed && (r.Cause == nil || r.Cause.Retry == nil || r.Cause.Retry.Again || r.Cause.Retry.Why == "") {
				t.Errorf("its cause does not say what follows: %+v", r.Cause)
			}
			if tc.want == run.Succeeded && r.Progress.Step != 40 {
				t.Errorf("it ended at step %d", r.Progress.Step)
			}
		})
	}
}

func TestATruncatedCheckpointIsPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir, "COTRAIN_TRAINER_FAULT=kill@23#1")
	id := c.submit(append([]string{"--name", "truncated", "--retries", "3"}, oneWorker...)...)
	c.becomes(id, run.Queued, run.Running)
	c.eventually("it waits for its next attempt", func() bool { r := c.run(id); return r.State == run.Queued && r.Attempt == 1 })
	shards, err := filepath.Glob(filepath.Join(dir, "storage", "models", "checkpoints", string(id), "step_20", "*.distcp"))
	if err != nil || len(shards) == 0 {
		t.Fatalf("shards %v, %v", shards, err)
	}
	if err := os.Truncate(shards[0], 10); err != nil {
		t.Fatal(err)
	}
	c.becomes(id, run.Succeeded)
	folder := "models/checkpoints/" + string(id)
	if as := c.attempts(id); len(as) != 2 || as[1].Resume != folder+"/step_10" {
		t.Errorf("attempts %+v", as)
	}
	if want := fmt.Sprintf("continues from %s/step_10; %s/step_20 ", folder, folder); !c.told(id, want) {
		t.Errorf("no event says %q", want)
	}
}

func TestAFaultOfHardwareMovesTheRunToAnotherNode(t *testing.T) {
	t.Parallel()
	for nodes, back := range map[string]bool{"2": false, "1": true} {
		t.Run(nodes+" nodes", func(t *testing.T) {
			t.Parallel()
			c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_FAULT=ecc@23#1", "COTRAIN_DEV_NODES="+nodes)
			id := c.submit(append([]string{"--name", "ecc", "--retries", "3"}, oneWorker...)...)
			r := c.becomes(id, run.Succeeded)
			as, ws := c.attempts(id), c.workers(id)
			if len(as) != 2 || as[0].Cause == nil || as[0].Cause.Category != "ecc_error_xid" || len(as[0].Cause.Retry.Avoid) != 1 || as[0].Cause.Retry.Avoid[0] != as[0].Cause.Node {
				t.Fatalf("attempts %+v", as)
			}
			failed := as[0].Cause.Node
			on := ""
			for _, w := range ws {
				if w.Attempt == 2 {
					on = w.NodeName
				}
			}
			if (on == failed) != back || (r.Shape.Avoid == "") != back {
				t.Errorf("it failed on %s and went to %s, avoiding %q", failed, on, r.Shape.Avoid)
			}
			if c.told(id, "no other node can hold it now, so it may run on "+failed+" again") != back {
				t.Errorf("its history says of going back: %v", !back)
			}
			if !c.told(id, "not on "+failed+", where it failed") {
				t.Error("its history does not say where it failed")
			}
		})
	}
}
