package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// faulty submits a run of three workers with a fault of the reference trainer.
func (p *process) faulty(fault string, more ...string) run.ID {
	p.t.Helper()
	return p.submit(append([]string{"--name", fault, "--preset", "debug-diloco", "--nodes", "3", "--gpus", "0", "--set", "optim.total_steps=5000", "--set", "env=TRAINER_FAULT=" + fault}, more...)...)
}

// noticed waits for a notice of a run.
func (p *process) noticed(id run.ID, kind run.NoticeKind) run.Notice {
	p.t.Helper()
	var n run.Notice
	p.eventually(string(id)+" has a notice of "+string(kind), func() bool {
		r := p.run(id)
		if r.State.Terminal() {
			p.t.Fatalf("it ended before: %s: %s", r.State, r.Reason)
		}
		if found := r.Notice(kind); found != nil {
			n = *found
			return true
		}
		return false
	})
	return n
}

func TestFaultsOfLiveRunsAreNoticed(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	for _, tc := range []struct {
		fault string
		kind  run.NoticeKind
		rank  int
		says  string
	}{
		{"slow=5@30:1", run.NoticeSlow, 1, "is slow"},
		{"alone@20:1", run.NoticeAlone, 1, "trains alone since step 20"},
		{"nan@60:2", run.NoticeNotFinite, 2, "is not finite since step 60"},
		{"spike@150:1", run.NoticeDiverged, 1, "stays above what is usual"},
		{"clock=-15@10:2", run.NoticeClock, 2, "behind worker 0's: the mesh takes it for dead"},
	} {
		id := c.faulty(tc.fault)
		if n := c.noticed(id, tc.kind); n.Rank != tc.rank || !strings.Contains(n.Text, tc.says) || n.Hint == "" {
			t.Errorf("%s: %+v", tc.fault, n)
		}
		list, errs, code := c.cli("run", "list")
		if code != 0 || !strings.Contains(list, "NOTICE") {
			t.Errorf("%s: the list: code %d\n%s%s", tc.fault, code, list, errs)
		}
		if _, errs, code := c.cli("run", "stop", string(id), "--wait"); code != 0 {
			t.Fatalf("stop: code %d\n%s", code, errs)
		}
	}
}

func TestALossThatIsNoNumberStopsTheRunOrSendsItBack(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.faulty("nan@40", "--on-nan", "stop")
	if r := c.becomes(id, run.Stopped); !strings.Contains(r.Reason, "is not finite since step 40") {
		t.Errorf("the reason is %q", r.Reason)
	}
	id = c.faulty("nan@40", "--on-nan", "rollback", "--rollback-lr", "0.5", "--set", "ckpt.path="+t.TempDir(), "--set", "ckpt.interval=20")
	r := c.becomes(id, run.Failed) // it comes again every time
	if !strings.Contains(r.Reason, "after it went back 3 times") || r.Attempt != 4 || r.Retried != 0 || r.Cause == nil || r.Cause.Category != "nan_loss" {
		t.Errorf("attempt %d, %d retries, because %q", r.Attempt, r.Retried, r.Reason)
	}
	logs, _, _ := c.cli("run", "events", string(id))
	if !strings.Contains(logs, "step_20") || strings.Contains(logs, "continues from") && strings.Contains(logs, "/step_40\n") {
		t.Errorf("it did not go back to step 20:\n%s", logs)
	}
	config, errs, code := c.cli("run", "launch", string(id), "--config")
	if code != 0 || !strings.Contains(config, "lr = 5e-5\n") {
		t.Errorf("the last attempt's learning rate is not an eighth of 4e-4: code %d\n%s%s", code, config, errs)
	}
}

// TestALossThatRisesAgainIsSentBackAgain has a loss diverge a few steps after each checkpoint that it is sent back to.
func TestALossThatRisesAgainIsSentBackAgain(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.faulty("spike@90:1", "--on-divergence", "rollback", "--set", "ckpt.path="+t.TempDir(), "--set", "ckpt.interval=20")
	r := c.becomes(id, run.Failed)
	if r.Attempt != 4 || r.Cause == nil || r.Cause.Category != "loss_spike" || r.Cause.Rank != 1 || len(r.Cause.Evidence) == 0 || !strings.Contains(r.Reason, "after it went back 3 times") {
		t.Errorf("attempt %d failed of %+v, because %q", r.Attempt, r.Cause, r.Reason)
	}
	events, _, _ := c.cli("run", "events", string(id))
	for _, want := range []string{"(1 of 3)", "(2 of 3)", "(3 of 3)", "step_80", "It has gone back 3 times already, so it fails."} {
		if !strings.Contains(events, want) {
			t.Errorf("%q is not in the history:\n%s", want, events)
		}
	}
}

func TestTheClocksOfNodesAreComparedBeforeARun(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_DEV_NODES=3", "COTRAIN_DEV_GPUS=1", "COTRAIN_DEV_CLOCKS=local-2=-12s")
	id := c.submit("--name", "clocks", "--preset", "debug-diloco", "--nodes", "3", "--gpus", "1", "--set", "optim.total_steps=5000")
	n := c.noticed(id, run.NoticeClock)
	workers := c.workers(id)
	says := " behind worker 0's: the mesh takes it for dead"
	if workers[0].NodeName == "local-2" {
		says = " ahead of worker 0's"
	} else if n.Node != "local-2" {
		t.Errorf("it is about %s", n.Node)
	}
	if !strings.HasPrefix(n.Text, "the clock of worker ") || !strings.HasSuffix(n.Text, says) || !strings.Contains(n.Text, " is 1") || !strings.Contains(n.Text, " s (± ") {
		t.Errorf("the notice is %+v", n)
	}
}

func TestAHangOnItsPage(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	b := openBrowser(t, c)
	id := c.faulty("hang@62:1", "--on-hang", "restart", "--retries", "1")
	b.open("/runs/" + string(id))
	b.waitFor("the alert comes by itself", `document.querySelector('[data-notice="hang"] [data-notice-text]')?.textContent.includes('Worker 1')`)
	b.waitFor("with the newest line of each worker", `document.querySelectorAll('[data-notice="hang"] dd a').length >= 3`)
	b.accessible("a run that hangs")
	c.eventually("it is tried again", func() bool { return c.run(id).Attempt == 2 })
	b.waitFor("the alert is gone", `!document.querySelector('[data-notice="hang"]')`)
}

func TestAHungWorkersStacksAreInItsLog(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	id := c.faulty("hang@62:1", "--on-hang", "dump")
	var n run.Notice
	c.eventually("the stacks of the hung worker are there", func() bool { // those of the waiting ones may come first, and lines by and by
		n = c.noticed(id, run.NoticeHang)
		return len(n.Stacks) > 1 && n.Stacks[0].Rank == 1
	})
	if n.Stacks[0].Rank != 1 || n.Stacks[0].Text != "SIGQUIT: the stacks of this worker" || n.Next != "Stacks were asked for with SIGQUIT." {
		t.Errorf("the notice is %+v", n)
	}
	log, errs, code := c.cli("run", "logs", string(id), "--worker", "1")
	if code != 0 || strings.Count(log, "SIGQUIT: the stacks of this worker") != 1 || !strings.Contains(log, "reftrain.(*trainer).inject(") {
		t.Errorf("the log of worker 1: code %d\n%s%s", code, log, errs)
	}
	if _, page, err := c.get("/runs/" + string(id)); err != nil || !strings.Contains(page, "Their stacks, asked for at") || !strings.Contains(page, n.Stacks[1].Text) {
		t.Errorf("its page does not show them: %v", err)
	}
	if out, _, code := c.cli("run", "show", string(id)); code != 0 || !strings.Contains(out, "Stacks asked for") {
		t.Errorf("run show: code %d\n%s", code, out)
	}
	if r := c.run(id); r.State != run.Running {
		t.Errorf("asking ended it: %s %s", r.State, r.Reason)
	}
}

func TestAWorkerThatIsStoppedIsSeenAndOneThatHangsIsRestarted(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir(), "COTRAIN_TRAINER_PACE=50ms")
	restarted := c.faulty("hang@82:1", "--on-hang", "restart", "--retries", "1")
	id := c.faulty("slow=2@4000", "--on-hang", "alert")
	c.eventually("it trains", func() bool { return c.run(id).Progress.Step > 60 })
	stopped := c.trainer(id, 1)
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n := c.noticed(id, run.NoticeHang)
	if n.Rank != 1 || len(n.Evidence) != 3 || n.Evidence[0].Rank != 1 {
		t.Errorf("the notice is %+v", n)
	}
	if _, page, err := c.get("/runs/" + string(id)); err != nil || !strings.Contains(page, `data-notice="hang"`) {
		t.Errorf("its page does not say so: %v", err)
	}
	if out, _, code := c.cli("run", "show", string(id)); code != 0 || !strings.Contains(out, "Newest lines") {
		t.Errorf("run show: code %d\n%s", code, out)
	}
	if err := syscall.Kill(stopped, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.eventually("it is tried again", func() bool { return c.run(restarted).Attempt == 2 })
	r := c.run(restarted)
	if r.Retried != 1 {
		t.Errorf("the run is %+v", r)
	}
}

// trainer is the process of a worker of a run.
func (p *process) trainer(id run.ID, rank int) int {
	p.t.Helper()
	workers := p.workers(id)
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, file := range procs {
		line, err := os.ReadFile(file)
		if err != nil { // it has ended
			continue
		}
		if words := strings.Split(string(line), "\x00"); len(words) > 2 && words[1] == "trainer" && strings.Contains(words[2], workers[rank].AllocID) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				p.t.Fatal(err)
			}
			return pid
		}
	}
	p.t.Fatalf("worker %d of %s has no process", rank, id)
	return 0
}
