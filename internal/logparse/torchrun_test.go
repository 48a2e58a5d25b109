package logparse

import (
	"strings"
	"testing"
)

// block is what torchrun prints when processes have failed; other is the one that did so later.
func block(exitcode string) string {
	return `torch.distributed.elastic.multiprocessing.errors.ChildFailedError: 
============================================================
train.py FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-01-02_03:04:06
  host      : node-1
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 123)
  error_file: <N/A>
  traceback : Signal 15 (SIGTERM) received by PID 123
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-01-02_03:04:05
  host      : node-1
  rank      : 1 (local_rank: 1)
  exitcode  : ` + exitcode + ` (pid: 124)
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================`
}

func TestTheRootCauseOfTorchrun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		exitcode, message, number string
		value                     float64
	}{
		{"7", "the process of rank 1 exited with code 7 first", ExitCode, 7},
		{"1", "the process of rank 1 exited with code 1 first", ExitCode, 1},
		{"-9", "the process of rank 1 was ended by signal 9 first", ExitSignal, 9},
	} {
		var p Parser
		found := 0
		for _, line := range strings.Split(block(tc.exitcode), "\n") {
			if res := p.Line([]byte(line)); res.Kind == KindEvent {
				found++
				if v, ok := res.Event.Value(tc.number); !ok || v != tc.value || res.Event.Name != RootCause || res.Event.Level != Error || res.Event.Message() != tc.message {
					t.Errorf("exit code %s: %s %s %q, %v", tc.exitcode, res.Event.Level, res.Event.Name, res.Event.Message(), res.Event.Metrics)
				}
			}
		}
		if found != 1 || p.State != (State{}) {
			t.Errorf("exit code %s: %d events, state %+v", tc.exitcode, found, p.State)
		}
	}
}

func TestWhatOnlyLooksLikeARootCause(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no title":              "  rank      : 1 (local_rank: 1)\n  exitcode  : 7 (pid: 124)",
		"no number":             "Root Cause (first observed failure):\n  exitcode  : <N/A> (pid: 124)",
		"beyond any exit code":  "Root Cause (first observed failure):\n  exitcode  : 70000000 (pid: 124)",
		"zero":                  "Root Cause (first observed failure):\n  exitcode  : 0 (pid: 124)",
		"long after the title":  "Root Cause (first observed failure):" + strings.Repeat("\nx", rootLines) + "\n  exitcode  : 7 (pid: 124)",
		"behind other words":    "log: Root Cause (first observed failure):\n  exitcode  : 7 (pid: 124)",
		"a line of the trainer": "03:22:58 [INFO] [Rank 0] Root Cause (first observed failure):\n  exitcode  : 7 (pid: 124)",
	} {
		var p Parser
		for _, line := range strings.Split(text, "\n") {
			if res := p.Line([]byte(line)); res.Kind != None {
				t.Errorf("%s: %+v", name, res)
			}
		}
	}
}
