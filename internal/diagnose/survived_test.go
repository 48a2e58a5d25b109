package diagnose

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// reports are reports of a training that goes on.
func reports(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("step %d loss %.4f", i+1, 3-0.001*float64(i)))
	}
	return out
}

// bar is a progress bar that was drawn n times on one line.
func bar(n int, loss func(i int) string) string {
	var drawn []string
	for i := range n {
		drawn = append(drawn, fmt.Sprintf("%3d%%|###   | %d/%d [00:%02d<00:10, 9.1it/s, loss=%s]", i*100/n, i+1, n, i%60, loss(i)))
	}
	return strings.Join(drawn, "\r")
}

func falling(i int) string { return fmt.Sprintf("%.3f", 3-0.001*float64(i)) }

func raised(exception string) []string {
	return []string{"Traceback (most recent call last):", `  File "/w/train.py", line 9, in step`, "    loss.backward()", exception}
}

// TestWhatIsSurvivedIsNotTheCause has errors after which a training went on, and what ended it.
func TestWhatIsSurvivedIsNotTheCause(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	failed := Exit{Known: true, Code: 1}
	died := raised("ZeroDivisionError: division by zero")
	xid, killer := "[1.1] NVRM: Xid (PCI:0000:3b:00): 48, pid=1", "[1.1] Out of memory: Killed process 999 (chrome) anon-rss:100kB"
	ignored := []string{"Exception ignored in: <function f at 0x7f>", "Traceback (most recent call last):", `  File "/a.py", line 1, in f`, "    x()", "KeyboardInterrupt: "}
	sample := []string{"[generated] Traceback (most recent call last):", `[generated]   File "a.py", line 1`, "[generated] ValueError: bad"}
	for _, tt := range []struct {
		name  string
		exit  Exit
		lines []string
		want  string
	}{
		{"an exception, steps, and another exception", failed, slices.Concat(raised(oom), reports(9), died), "python_exception"},
		{"with many steps", failed, slices.Concat(raised(oom), reports(59), died), "python_exception"},
		{"a fault of the hardware", failed, slices.Concat([]string{xid}, reports(59), died), "python_exception"},
		{"another process's end", failed, slices.Concat([]string{killer}, reports(20), died), "python_exception"},
		{"a full disk", failed, slices.Concat([]string{"OSError: [Errno 28] No space left on device: '/a/b'"}, reports(20), died), "python_exception"},
		{"a name that could not be resolved", failed, slices.Concat([]string{"socket.gaierror: [Errno -2] Name or service not known"}, reports(20), died), "python_exception"},
		{"memory that a smaller batch fits into", failed, slices.Concat([]string{oom, "Lowering micro batch from 8 to 4"}, reports(4), died), "python_exception"},
		{"but steps that another stream wrote late hide nothing", failed, slices.Concat(raised(oom), reports(59)), "cuda_oom"},
		{"nor does another rank's exception", failed, slices.Concat([]string{"[rank3]: " + oom}, reports(20), []string{"[rank0]: ZeroDivisionError: division by zero"}), "cuda_oom"},
		{"an echo at the end explains nothing", failed, slices.Concat(raised(oom), reports(20), []string{watchdog}), "cuda_oom"},
		{"an error before steps, and no end", Exit{}, slices.Concat(raised("ValueError: bad"), reports(20)), None},
		{"memory that ran out long before", Exit{}, slices.Concat(raised(oom), reports(59)), None},
		{"an interrupt that Python ignores", Exit{}, append(ignored, reports(3)...), None},
		{"an interrupt that it does not", Exit{}, append(reports(3), "Traceback (most recent call last):", `  File "/a.py", line 1, in f`, "    x()", "KeyboardInterrupt"), "preempted_sigterm"},
		{"a traceback that a model wrote", Exit{}, append(sample, reports(3)...), None},
		{"InfiniBand that is not there", Exit{}, append([]string{"n:1:1 [0] net_ib.cc:1 NCCL WARN NET/IB : No device found.", "n:1:1 [0] ibvwrap.cc:63 NCCL WARN Failed to open libibverbs.so[.1]"}, reports(3)...), None},
		{"not even where the process failed", failed, append([]string{"n:1:1 [0] ibvwrap.cc:63 NCCL WARN Failed to open libibverbs.so[.1]"}, reports(59)...), Unknown},
		{"a progress bar is many steps", failed, append(raised("requests.exceptions.ConnectionError: Max retries exceeded with url: /"), bar(299, falling)), Unknown},
		{"before another exception", failed, slices.Concat(raised(oom), []string{bar(299, falling)}, died), "python_exception"},
		{"even with a loss that is steady", failed, slices.Concat(raised(oom), []string{bar(299, func(int) string { return "2.0" })}, died), "python_exception"},
		{"a bar whose loss is lost", Exit{}, []string{bar(30, func(i int) string {
			if i > 20 {
				return "nan"
			}
			return "2.5"
		})}, "nan_loss"},
		{"a bar that is drawn ten times at the one step with a high loss", Exit{}, []string{strings.Repeat("38/40 [loss=2.5]\r39/40 [loss=2.5]\r", 2) + strings.Repeat("40/40 [loss=30.0]\r", 10)}, None},
		{"a bar that ends with a traceback on its line", failed, []string{bar(20, falling) + "\rTraceback (most recent call last):", `  File "/w/train.py", line 9, in step`, "    f()", "KeyError: 'x'"}, "python_exception"},
	} {
		if got := causeOf(t, rules, tt.exit, tt.lines...); got.Category != tt.want {
			t.Errorf("%s: %s by %s, want %s", tt.name, got.Category, got.Rule, tt.want)
		}
	}
}

// TestHardwareExplainsTheErrorOfCUDA has the driver's word before what a process sees of it.
func TestHardwareExplainsTheErrorOfCUDA(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, seen := range []string{"an illegal memory access was encountered", "unspecified launch failure"} {
		for xid, want := range map[int]string{48: "ecc_error_xid", 61: "ecc_error_xid", 63: "ecc_error_xid", 74: "ecc_error_xid", 79: "ecc_error_xid", 94: "ecc_error_xid", 119: "ecc_error_xid", 140: "ecc_error_xid",
			13: "illegal_memory_access", 31: "illegal_memory_access", 43: "illegal_memory_access", 45: "illegal_memory_access"} {
			lines := append([]string{fmt.Sprintf("NVRM: Xid (PCI:0000:3b:00): %d, pid=1234, name=python, DBE", xid)}, raised("RuntimeError: CUDA error: "+seen)...)
			if got := causeOf(t, rules, Exit{Known: true, Code: 1}, lines...); got.Category != want {
				t.Errorf("Xid %d, %s: %s by %s, want %s", xid, seen, got.Category, got.Rule, want)
			}
		}
	}
}

// TestTheSentenceFitsWhatWasDone has errors whose words alone say less than what the program was doing.
func TestTheSentenceFitsWhatWasDone(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	const broken = "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)"
	missing := func(path string) []string {
		return raised("FileNotFoundError: [Errno 2] No such file or directory: '" + path + "'")
	}
	for _, tt := range []struct {
		code     int
		lines    []string
		category string
		says     string
	}{
		{127, []string{"/bin/sh: 1: torchrun: not found"}, "config_invalid", "The command torchrun does not exist"},
		{127, []string{"bash: line 1: deepspeed: command not found"}, "config_invalid", "The command deepspeed does not exist"},
		{127, []string{"/usr/bin/env: ‘python’: No such file or directory"}, "config_invalid", "The command python does not exist"},
		{1, []string{"bash: line 3: git: command not found"}, Unknown, "did not find the command git"},
		{1, []string{"Traceback (most recent call last):", `  File "/app/metrics.py", line 10, in push`, "    r = requests.get(url).json()", broken}, "python_exception", "raised at metrics.py:10"},
		{1, []string{"Traceback (most recent call last):", `  File "/app/read.py", line 10, in read`, "    return json.loads(line)", broken}, "dataset_corrupt", "file of the dataset"},
		{1, missing("/var/log/train/out.log"), "python_exception", "/var/log/train/out.log"},
		{1, missing("/outputs/run1/metrics.json"), "python_exception", "/outputs/run1/metrics.json"},
		{1, missing("/data/train/shard_1.parquet"), "dataset_missing", "/data/train/shard_1.parquet"},
		{1, missing("/cfg/model.yaml"), "config_invalid", "/cfg/model.yaml"},
		{134, []string{"python: pthread_mutex_lock.c:94: __pthread_mutex_lock: Assertion `mutex->__data.__owner == 0' failed.", "Aborted (core dumped)"}, Unknown, "of pthread_mutex_lock.c failed"},
		{1, raised("RuntimeError: DataLoader worker (pid 771) exited unexpectedly with exit code 1. Details are lost due to multiprocessing."), "python_exception", "worker of the data loader (PID 771) ended with code 1"},
		{1, raised("RuntimeError: DataLoader worker (pid(s) 771) exited unexpectedly"), Unknown, "worker of the data loader (PID 771)"},
		{1, raised("RuntimeError: Triton Error [CUDA]: out of memory"), "cuda_oom", "GPU memory ran out"},
		{1, raised("RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu."), "no_gpu_visible", "no GPU"},
		{1, []string{"n:1:1 [0] init.cc:943 NCCL WARN Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 4f000"}, "config_invalid", "Two ranks, 1 and 0, use the same GPU (4f000)"},
		{137, []string{"pod evicted: The node was low on resource: memory."}, "host_oom_sigkill", "memory of the node"},
		{1, raised("OSError: Error no file named pytorch_model.bin, model.safetensors or flax_model.msgpack found in directory /ckpt/step_100."), "checkpoint_corrupt", "/ckpt/step_100"},
		{1, []string{"07:01:01 [INFO] [Rank 0] worker 0 is gone: no heartbeat for 10s"}, "peer_lost", "(worker 0) went out of reach"},
		{1, raised("OSError: [Errno 116] Stale file handle: '/mnt/nfs/shards/1.bin'"), "network_dns", "/mnt/nfs/shards/1.bin"},
	} {
		got := causeOf(t, rules, Exit{Known: true, Code: tt.code}, tt.lines...)
		if got.Category != tt.category || !strings.Contains(got.Summary, tt.says) || len(got.Evidence) == 0 {
			t.Errorf("%q: %s by %s, %q with %d lines, want %s and %q", tt.lines[len(tt.lines)-1], got.Category, got.Rule, got.Summary, len(got.Evidence), tt.category, tt.says)
		}
	}
}

// TestARuleLooksAtTheNewestFrames has a traceback that is longer than what is kept of it.
func TestARuleLooksAtTheNewestFrames(t *testing.T) {
	t.Parallel()
	rules, err := builtinRules(t).With("acme.toml", []byte(`
[[rule]]
id = "acme"
category = "config_invalid"
any = ["AcmeError"]
unless_frame = 'plugin\.py'
weight = 90
summary = "Acme."
hint = "Acme."
`))
	if err != nil {
		t.Fatal(err)
	}
	deep := func(last string) []string {
		lines := []string{"Traceback (most recent call last):", `  File "/w/plugin.py", line 1, in a`, "    b()"}
		for range 100 {
			lines = append(lines, `  File "/w/deep.py", line 2, in c`, "    c()")
		}
		return append(lines, `  File "/w/`+last+`", line 3, in d`, "    d()", "AcmeError: no")
	}
	if got := causeOf(t, rules, Exit{}, deep("end.py")...); got.Rule != "acme" {
		t.Errorf("a frame far above decided: %s", got.Rule)
	}
	if got := causeOf(t, rules, Exit{}, deep("plugin.py")...); got.Rule != "exception" {
		t.Errorf("the newest frame did not count: %s", got.Rule)
	}
	if _, err := builtinRules(t).With("acme.toml", []byte("[[rule]]\nid = \"a\"\ncategory = \"disk_full\"\nany = [\"something\"]\nweight = 1\nsummary = \"s\"\nhint = \"h\"\nunless_frame = '('")); err == nil || !strings.Contains(err.Error(), "unless_frame") {
		t.Errorf("a broken expression passes: %v", err)
	}
}
