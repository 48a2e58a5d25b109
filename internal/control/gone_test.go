package control_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
)

func TestAPauseAtACheckpointDoesNotWaitForAWorkerThatHasEnded(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	r, job := c.trained()
	c.act(r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint})
	c.set(job, nomadtest.End(1), 1)
	c.eventually("it says that the pause does not come", func() bool {
		got := c.run(r.ID)
		return got.State == run.Degraded && strings.Contains(got.Reason, "has ended, and without it no checkpoint will be complete") && strings.Contains(got.WhatNext(), "continues from step 10 and repeats 7 steps")
	})
	if !c.said(r.ID, "cotrain", "has ended, and without it no checkpoint will be complete") {
		t.Error("its history does not say so")
	}
	if out, err := c.control.Outlook(t.Context(), r.ID); err != nil || !strings.Contains(out.Gone, "has ended") {
		t.Errorf("outlook is %+v, %v", out, err)
	}
	c.act(r.ID, run.Action{Act: run.ActResume})
	if err := c.control.Act(t.Context(), "me", r.ID, run.Action{Act: run.ActPause, When: run.PauseAtCheckpoint}); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(err.Error(), "use now: it continues from step 10 and repeats 7 steps") {
		t.Errorf("asked for again: %v", err)
	}
}
