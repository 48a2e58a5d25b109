package jobs

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dumped starts two processes as torchrun does, of which one is no Python program and would die of the signal, asks for stacks, and waits
// until it has them.
const dumped = `
import os, signal, subprocess, sys, time
from torch.distributed.elastic.multiprocessing import api
number = getattr(signal, os.environ["COTRAIN_DUMP_SIGNAL"])
def end(number, frame):
    print("torchrun ended", flush=True)
    os._exit(9)
api.PContext.ended = staticmethod(end)
api.PContext().start()
sleeper = subprocess.Popen(["sleep", "600"])
worker = subprocess.Popen([sys.executable, os.environ["TRAIN"]], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
worker.stdout.readline()
os.kill(os.getpid(), number)
said = ""
while "in wait_for_peers" not in said:
    said += worker.stderr.readline()
print("stacks", "most recent call first" in said, "alive", worker.poll(), sleeper.poll(), flush=True)
worker.kill()
sleeper.kill()
`

func TestLaunchHasTheStacksOfTorchrunsProcessesPrinted(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	lib := t.TempDir()
	for name, text := range pretended {
		write(t, filepath.Join(lib, name), text, 0o644)
	}
	write(t, filepath.Join(lib, "sitecustomize.py"), "import builtins\nbuiltins.own = 'kept'\n", 0o644)
	train := filepath.Join(lib, "train.py")
	write(t, train, "import time\ndef wait_for_peers():\n    print(own, flush=True)\n    time.sleep(600)\nwait_for_peers()\n", 0o644)
	for _, signal := range []string{"SIGQUIT", "SIGUSR1"} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, shell string) {
				o, _ := launch{shell: shell, addr: "h 1\n", commands: map[string]string{"torchrun": "#!" + python + "\n" + dumped},
					env: map[string]string{"COTRAIN_DUMP_SIGNAL": signal, "PYTHONPATH": lib, "TRAIN": train}}.run(t)
				if o.code != 0 || !strings.Contains(o.stdout, "stacks True alive None None") || strings.Contains(o.stdout, "torchrun ended") {
					t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
				}
			})
		})
	}
}

func TestATrainerThatPrintsNoStacksDoesNotDieOfBeingAsked(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		o, _ := launch{shell: shell, addr: "h 1\n", env: map[string]string{"COTRAIN_DUMP_SIGNAL": "SIGQUIT"},
			commands: map[string]string{"plain": "#!/bin/sh\nkill -QUIT $$\necho goes on\n"}, args: []string{"plain"}}.run(t)
		if o.code != 0 || !strings.Contains(o.stdout, "goes on") {
			t.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
	})
}
