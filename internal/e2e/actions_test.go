package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/run"
)

// saving is a run of two workers that saves a checkpoint every 20 steps.
func saving(name string, steps int, more ...string) []string {
	return append([]string{"--name", name, "--preset", "debug-diloco", "--nodes", "2", "--gpus", "0", "--set", fmt.Sprintf("optim.total_steps=%d", steps),
		"--set", "ckpt.path=models/checkpoints/{run}", "--set", "ckpt.interval=20"}, more...)
}

// does runs a command on a run, which has to answer, and returns what it says.
func (p *process) does(id run.ID, args ...string) string {
	p.t.Helper()
	out, errs, code := p.cli(append([]string{"run", args[0], string(id)}, args[1:]...)...)
	if code != 0 {
		p.t.Fatalf("%v: code %d\n%s", args, code, errs)
	}
	return out
}

// passes waits until a run has trained beyond a step.
func (p *process) passes(id run.ID, step int64) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("it is beyond step %d", step), func() bool {
		r := p.run(id)
		if r.State.Terminal() {
			p.t.Fatalf("it is %s: %s", r.State, r.Reason)
		}
		return r.State == run.Running && r.Progress.Step > step
	})
}

// said reports whether an event of the run has that text.
func (p *process) said(id run.ID, text string) bool {
	p.t.Helper()
	return strings.Contains(p.does(id, "events"), text)
}

func TestPausedAtACheckpointAndResumedTheCurveHasNoSeam(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	calm := c.submit(saving("calm", 80)...)
	wild := c.submit(saving("wild", 80)...)
	c.passes(wild, 22)
	if out := c.does(wild, "pause"); !strings.Contains(out, "pauses at the next checkpoint, about step 40") {
		t.Errorf("pause says %q", out)
	}
	r := c.becomes(wild, run.Paused)
	if r.Progress.Participants != 0 || !strings.Contains(r.Reason, "to continue from step") || r.PausedAt.IsZero() {
		t.Errorf("it is paused as %+v", r)
	}
	if out := c.does(wild, "resume"); !strings.Contains(out, "continues from the newest complete checkpoint") {
		t.Errorf("resume says %q", out)
	}
	c.becomes(wild, run.Succeeded)
	c.becomes(calm, run.Succeeded)
	if d := cmp.Diff(c.metrics(calm, "loss"), c.metrics(wild, "loss")); d != "" {
		t.Errorf("the curve has a seam (-undisturbed +paused):\n%s", d)
	}
	if !c.said(wild, "is complete: pausing") {
		t.Error("its history does not say that it was paused at a checkpoint")
	}
	c.checked()
}

func TestPausedNowAndRestartedFromACheckpoint(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.submit(saving("a", 120)...)
	c.passes(id, 45)
	if out := c.does(id, "pause", "--now"); !strings.Contains(out, "then it is paused") {
		t.Errorf("pause says %q", out)
	}
	c.becomes(id, run.Paused)
	c.does(id, "resume", "--from", "40")
	c.eventually("it continues from step 40", func() bool { return c.said(id, "/step_40") })
	c.passes(id, 42)
	c.does(id, "restart", "--from", "20")
	c.eventually("it continues from step 20", func() bool { return c.said(id, "/step_20") })
	r := c.becomes(id, run.Succeeded)
	if r.Attempt != 3 || r.Retried != 0 {
		t.Errorf("it ended after attempt %d with %d retries", r.Attempt, r.Retried)
	}
	if n := len(c.metrics(id, "loss").Metrics["loss"]); n != 240 {
		t.Errorf("the curve has %d points of two workers, want 240", n)
	}
	c.checked()
}

func TestATrainerThatIgnoresTheStopIsKilled(t *testing.T) {
	t.Parallel()
	trainer := filepath.Join(t.TempDir(), "deaf.sh")
	if err := os.WriteFile(trainer, []byte("trap '' TERM\necho deaf\nwhile :; do sleep 0.2; done\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := devConsole(t, t.TempDir(), "COTRAIN_JOB_TRAIN_COMMAND=/bin/sh "+trainer)
	id := c.submit(saving("deaf", 20)...)
	c.becomes(id, run.Running)
	c.eventually("it is deaf", func() bool { return strings.Contains(c.does(id, "logs"), "deaf") })
	c.does(id, "stop")
	c.becomes(id, run.Stopping)
	c.does(id, "stop", "--force")
	if r := c.becomes(id, run.Stopped); r.Reason != "killed on request, without time to save" {
		t.Errorf("it stopped for %q", r.Reason)
	}
	if !c.said(id, "was killed") {
		t.Error("its history does not say that its workers were killed")
	}
}

func TestAFailedRunIsRetriedFromItsCheckpoint(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=20ms", "COTRAIN_TRAINER_FAULT=nccl-timeout@30")
	id := c.submit(saving("a", 60)...)
	if r := c.becomes(id, run.Failed); r.Cause == nil {
		t.Fatalf("it failed as %+v", r)
	}
	c.does(id, "retry") // fails there again
	c.eventually("the second attempt has failed", func() bool { r := c.run(id); return r.Attempt == 2 && r.State == run.Failed })
	if !c.said(id, "/step_20") {
		t.Error("the second attempt did not continue from step 20")
	}
	waits := c.submit(saving("b", 60, "--retries", "3")...)
	r := c.becomes(waits, run.Queued, run.Pending, run.Dispatching, run.Running)
	c.eventually("it waits for its second attempt", func() bool { r = c.run(waits); return r.State == run.Queued && !r.NotBefore.IsZero() })
	c.does(waits, "retry")
	c.eventually("the second attempt has failed, and it waits again", func() bool {
		r = c.run(waits)
		return r.State == run.Queued && r.Attempt == 2 && !r.NotBefore.IsZero()
	})
	if out := c.does(waits, "stop-retrying"); !strings.Contains(out, "not tried again") {
		t.Errorf("stop-retrying says %q", out)
	}
	if r := c.run(waits); r.State != run.Failed || r.Cause == nil {
		t.Errorf("it is %+v", r)
	}
	c.checked()
}

// A pause at the next checkpoint outlives the console, whose workers are in an agent of their own.
func TestAPauseOutlivesTheConsole(t *testing.T) {
	t.Parallel()
	c, _, _, restart := agentConsole(t, "COTRAIN_TRAINER_PACE=100ms")
	id := c.submit(saving("a", 200, "--set", "ckpt.path="+t.TempDir())...)
	c.passes(id, 3)
	c.does(id, "pause")
	c.kill()
	c = restart(anyPort)
	c.becomes(id, run.Paused)
	c.does(id, "resume")
	c.passes(id, 25)
	c.does(id, "pause", "--now")
	c.kill()
	c = restart(anyPort)
	c.becomes(id, run.Paused)
	if r := c.run(id); r.Retried != 0 || r.Attempt != 2 {
		t.Errorf("it is paused as %+v", r)
	}
}

// A console whose embedded agent ends with it does not wait for the checkpoint: the run is paused, and not stopped.
func TestARunThatIsToBePausedIsPausedWhenItsConsoleEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir, "COTRAIN_TRAINER_PACE=100ms")
	id := c.submit(saving("a", 200)...)
	c.passes(id, 3)
	c.does(id, "pause")
	if code := c.interrupt(); code != 0 {
		t.Fatalf("the console ended with %d:\n%s", code, c.output())
	}
	c = devConsole(t, dir, "COTRAIN_TRAINER_PACE=20ms")
	if r := c.run(id); r.State != run.Paused {
		t.Fatalf("it is %s: %s", r.State, r.Reason)
	}
	c.does(id, "resume")
	c.becomes(id, run.Succeeded)
}

func TestActionsInTheBrowser(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.submit(saving("first try", 4000)...)
	c.passes(id, 45)
	b := openBrowser(t, c)
	state := func(want run.State) {
		t.Helper()
		b.waitFor(fmt.Sprintf("it is %s", want), fmt.Sprintf(`document.querySelector("#run-headline").dataset.runState === %q`, want))
	}
	b.open("/runs/" + string(id))
	b.click(`[data-action="ask-pause"]`)
	b.waitFor("it asks", `document.querySelector("#ask-dialog[open] input[name=when][value=checkpoint]:checked") !== null`)
	b.accessible("the question before a pause")
	if text := b.text("#ask-dialog"); !strings.Contains(text, "At the next checkpoint, about step") || !strings.Contains(text, "free for others") {
		t.Errorf("it asks %q", text)
	}
	b.click(`#ask-dialog [data-action="pause"]`)
	state(run.Paused)
	b.accessible("a paused run")
	b.click(`[data-action="ask-resume"]`)
	b.waitFor("it asks what to continue from", `document.querySelector("#ask-dialog[open] select[name=from]") !== null`)
	b.click(`#ask-dialog [data-action="resume"]`)
	state(run.Running)

	b.click(`[popovertarget="run-menu"]`)
	b.accessible("the menu of a run that trains")
	b.click(`[data-action="ask-kill"]`)
	b.waitFor("it asks", `document.querySelector("#ask-dialog[open]") !== null`)
	b.click(`#ask-dialog [data-action="kill"]`)
	state(run.Stopped)

	b.click(`[data-action="ask-retry"]`)
	b.waitFor("it asks what to continue from", `document.querySelectorAll("#ask-dialog[open] option[value^=step_]").length > 1`)
	b.accessible("the question before a retry")
	oldest := eval[string](b, `[...document.querySelectorAll("#ask-dialog option[value^=step_]")].at(-1).value`)
	b.do("choose the oldest that it offers", script(fmt.Sprintf(`document.querySelector("#ask-dialog select[name=from]").value = %q`, oldest)))
	b.click(`#ask-dialog [data-action="retry"]`)
	state(run.Running)
	c.eventually("it continues from there", func() bool { return c.said(id, "/"+oldest) })

	b.click(`[popovertarget="run-menu"]`)
	b.click(`[data-action="retry-changed"]`)
	b.waitFor("the form continues from a checkpoint", `(document.querySelector('[name="ckpt.resume"]')?.value || "").includes("/step_")`)
	b.waitFor("the checkpoint is marked", `document.querySelector('[data-field="ckpt.resume"] .field-head').textContent.includes("changed from first try")`)
	b.accessible("the form of a retry with changes")
}
