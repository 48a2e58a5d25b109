package jobs

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pretended is what torchrun_py uses of PyTorch. torchrun runs close as PyTorch does: in the handler of a signal, or not.
var pretended = map[string]string{
	"torch/__init__.py": "", "torch/distributed/__init__.py": "", "torch/distributed/elastic/__init__.py": "", "torch/distributed/elastic/multiprocessing/__init__.py": "",
	"torch/distributed/elastic/multiprocessing/api.py": `
import signal
class SignalException(Exception):
    def __init__(self, sigval):
        super().__init__("got a signal")
        self.sigval = sigval
class PContext:
    ended = None
    def start(self):
        signal.signal(signal.SIGQUIT, self.ended)
    def close(self, death_sig=None, timeout=30):
        print("close", death_sig, timeout)
class ChildFailedError(Exception):
    def get_first_failure(self):
        class Failure: exitcode = int(self.args[0])
        return 0, Failure
`,
}

const pretendedTorchrun = `
import sys, signal
from torch.distributed.elastic.multiprocessing import api
print("argv", sys.argv[0].rsplit("/", 1)[1], *sys.argv[1:3])
what = sys.argv[-1]
if what == "signal":
    try:
        raise api.SignalException(signal.SIGTERM)
    except api.SignalException:
        api.PContext().close(15)
        raise
api.PContext().close()
if what != "0":
    raise api.ChildFailedError(what)
`

func TestLaunchTeachesTorchrunToWaitAndToExitAsItsProcesses(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	lib := t.TempDir()
	for name, text := range pretended {
		write(t, filepath.Join(lib, name), text, 0o644)
	}
	for _, c := range []struct {
		name, what, first, lib string
		code                   int
		want                   string
		stderr                 string
	}{
		{name: "a signal", what: "signal", code: 143, want: "close 15 45"},
		{name: "a failure", what: "7", code: 7, want: "close None 30", stderr: "ChildFailedError: 7"},
		{name: "a kill", what: "-9", code: 137, want: "close None 30", stderr: "ChildFailedError: -9"},
		{name: "a good end", what: "0", want: "close None 30"},
		{name: "a short path", what: "7", first: "#!/usr/bin/env python3", code: 7, want: "close None 30"},
		{name: "flags", what: "7", first: "#!" + python + " -s", code: 7, want: "close None 30"},
		{name: "no PyTorch", what: "7", lib: "none", code: 1, stderr: "may kill its processes 30 s after a stop"},
		{name: "not a Python script", what: "7", first: "#!/bin/sh\necho plain; exit 3\n", code: 3, want: "torchrun_waits_30s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, shell string) {
				first := c.first
				if first == "" {
					first = "#!" + python
				}
				path := lib
				if c.lib != "" {
					path = c.lib
				}
				o, _ := launch{shell: shell, addr: "h 1\n", commands: map[string]string{"torchrun": first + "\n" + pretendedTorchrun},
					env: map[string]string{"COTRAIN_KILL_TIMEOUT": "45s", "PYTHONPATH": path, "NOMAD_META_args": c.what}}.run(t)
				if o.code != c.code || !strings.Contains(o.stdout, c.want) || !strings.Contains(o.stderr, c.stderr) {
					t.Errorf("exit code %d, want %d\n%s%s", o.code, c.code, o.stdout, o.stderr)
				}
				if c.first == "" && c.lib == "" && !strings.Contains(o.stdout, "argv torchrun --nproc_per_node=2 --nnodes=3") {
					t.Errorf("it is started otherwise:\n%s", o.stdout)
				}
			})
		})
	}
}
