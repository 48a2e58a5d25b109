package cli

import (
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestRunsArePausedResumedRestartedAndRetried(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	add := func(s run.State) string {
		return string(c.Add(run.Run{Name: "a", State: s, Attempt: 1, CheckpointPath: "c", Shape: run.Shape{Nodes: 1}}))
	}
	running := add(run.Running)
	c.cotrain("run", "pause", running).want(t, exitDone, "running", "It trains on and pauses at the next checkpoint.")
	bare := string(c.Add(run.Run{Name: "a", State: run.Running, Attempt: 1}))
	c.cotrain("run", "pause", bare).want(t, exitRefused, "--now: is needed", "use --now: it starts over")
	c.cotrain("run", "stop-retrying", add(run.Failed)).want(t, exitRefused, "has already failed, and is not tried again")
	c.cotrain("run", "resume", running).want(t, exitDone, "It goes on as before.")
	c.cotrain("run", "pause", running, "--now").want(t, exitDone, "stopping", "then it is paused")
	if got := fromJSON[client.Acted](t, c.cotrain("run", "resume", add(run.Paused), "--from", "40", "--format", "json").want(t, exitDone)); got.Run.State != run.Queued || got.Run.NextResume != "step_40" || got.Next == "" {
		t.Errorf("resumed it is %+v", got)
	}
	c.cotrain("run", "restart", add(run.Running), "--from", "start").want(t, exitDone, "continues from the beginning")
	c.cotrain("run", "retry", add(run.Failed)).want(t, exitDone, "queued", "the newest complete checkpoint")
	c.cotrain("run", "retry", add(run.Failed), "--from", "best").want(t, exitRefused, "use newest, start")
	c.cotrain("run", "retry", add(run.Succeeded)).want(t, exitRefused, "Clone it")
	c.cotrain("run", "stop-retrying", add(run.Running)).want(t, exitRefused, "without retries", "Stop it")
	tries := string(c.Add(run.Run{Name: "a", State: run.Running, Attempt: 4, Options: run.Options{Retries: 2}, Shape: run.Shape{Nodes: 1}}))
	for range 2 {
		c.cotrain("run", "stop-retrying", tries).want(t, exitDone, "should attempt 4 fail", "not tried again")
	}
	c.cotrain("run", "show", tries).want(t, exitDone, "should attempt 4 fail")
	c.cotrain("run", "stop", add(run.Stopping), "--force").want(t, exitDone, "killed")
}
