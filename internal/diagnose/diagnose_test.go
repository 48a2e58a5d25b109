package diagnose

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// causeOf diagnoses a log.
func causeOf(t *testing.T, rules *Rules, exit Exit, lines ...string) Cause {
	t.Helper()
	s := rules.NewScanner()
	if err := s.Scan(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	return s.Cause(exit)
}

const (
	oom      = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.15 GiB of which 1.00 GiB is free."
	watchdog = "[rank1]:[E1206 18:44:12.715298746 ProcessGroupNCCL.cpp:607] [Rank 1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600061 milliseconds before timing out."
	refused  = "RuntimeError: [../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [10.0.0.3]:38032"
	step     = "03:22:58 [INFO] [Rank 0] step: 12, loss: 4.1234, tokens_per_second: 89174.58, mfu: 18.19, diloco_peers: 3"
)

// ok is the end of a process that succeeded.
var ok = Exit{Known: true}

// amid is the log of a training with some lines amid its steps, too few of which follow to speak against them.
func amid(lines ...string) []string {
	steps := func(from int) (out []string) {
		for i := range 3 {
			out = append(out, fmt.Sprintf("step %d loss %.2f", from+i, 3-0.1*float64(from+i)))
		}
		return out
	}
	return slices.Concat(steps(1), lines, steps(4))
}

func TestWhichLineIsTheCause(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, tt := range []struct {
		name  string
		exit  Exit
		lines []string
		want  string
	}{
		{"a communication error is never the root, even when it comes first", Exit{}, []string{watchdog, refused, "[rank3]: " + oom}, "cuda_oom"},
		{"nor when an exception without a category explains it", Exit{}, []string{watchdog, "[rank3]: Traceback (most recent call last):", `[rank3]:   File "/app/t.py", line 3, in f`, "[rank3]:     x[1]", "[rank3]: KeyError: 1"}, "python_exception"},
		{"alone it is the cause", Exit{}, []string{watchdog}, "nccl_timeout"},
		{"boilerplate names causes that are none", Exit{}, []string{"RuntimeError: CUDA error: an illegal memory access was encountered", "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.", "subsequent GPU operations might run on corrupted/incomplete data"}, "illegal_memory_access"},
		{"the source that a traceback quotes is not read", Exit{}, []string{"Traceback (most recent call last):", `  File "/app/t.py", line 3, in f`, `    raise RuntimeError("CUDA out of memory")`, "ValueError: bad"}, "python_exception"},
		{"the exception behind the last is the cause", Exit{}, []string{"Traceback (most recent call last):", `  File "/app/t.py", line 3, in f`, "    read()", "OSError: [Errno 28] No space left on device", "", "During handling of the above exception, another exception occurred:", "", "Traceback (most recent call last):", "RuntimeError: save failed"}, "disk_full"},
		{"the fatal error that the core logs at INFO counts", Exit{}, []string{"07:02:10 [INFO] [Rank 0] Caught an exception, terminating children", "07:02:10 [INFO] [Rank 0] " + oom[len("torch.OutOfMemoryError: "):]}, "cuda_oom"},
		{"what the core handles at ERROR does not", Exit{}, []string{"05:00:02 [ERROR] [Rank 0] Error pushing /a/step_1 to s3://b: No space left on device", step}, None},
		{"a warning does not", Exit{}, []string{"2026-01-02 03:04:05 WARNING disk: No space left on device"}, None},
		{"unless the process is known to have failed", Exit{Known: true, Code: 1}, []string{"2026-01-02 03:04:05 WARNING disk: No space left on device"}, "disk_full"},
		{"an error before many steps was not the end", Exit{}, slices.Concat([]string{"ValueError: bad batch"}, slices.Repeat([]string{step}, 100)), None},
		{"steps that streams wrote late do not hide a crash", Exit{}, []string{"terminate called after throwing an instance of 'gloo::IoException'", "  what():  " + refused, step, step}, "gloo_connection"},
		{"retried and gone", Exit{}, []string{"requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='h', port=443): Read timed out.", "Retrying in 1s [Retry 1/5].", step}, None},
		{"rank 1 of torchrun's root cause ended by SIGKILL", Exit{Known: true, Code: 1}, []string{"Root Cause (first observed failure):", "[0]:", "  rank      : 1 (local_rank: 1)", "  exitcode  : -9 (pid: 7)", "  traceback : Signal 9 (SIGKILL) received by PID 7"}, "host_oom_sigkill"},
		{"SIGKILL alone says nothing of memory", Exit{Known: true, Signal: 9}, []string{step}, Unknown},
		{"nor does the word of a shell", Exit{}, []string{step, "Killed"}, Unknown},
		{"the flag does", Exit{Known: true, Code: 137, OOMKilled: true}, []string{step}, "host_oom_sigkill"},
		{"a stop from outside explains the kill after it", Exit{Known: true, Code: 137}, []string{"Killed", "2026-01-02T03:04:05Z  Killing  Sent interrupt. Waiting 5s before force killing"}, "preempted_sigterm"},
		{"a clean end outweighs an exception", Exit{Known: true}, []string{"ValueError: bad", "bye"}, None},
		{"a NaN that passes is none", Exit{}, []string{"step 1 loss 2.5", "step 2 loss nan", "step 3 loss 2.4"}, None},
		{"an exception explains the kill of what did not end", Exit{Known: true, Code: 137}, []string{"KeyError: 'x'", "exits with return code = -9"}, "python_exception"},
		{"one at the end is", Exit{}, []string{"step 1 loss 2.5", "step 2 loss 2.4", "step 3 loss nan"}, "nan_loss"},
		{"losses of validation are not the training's", Exit{}, []string{"val_loss: nan", "Validation: loss nan", "eval loss nan", "val_loss: nan"}, None},
		{"a training that finished lost nobody that it needed", Exit{}, []string{"05:00:10 [INFO] [Rank 0] Evicting nodes: [1]", step, "05:10:00 [INFO] [Rank 0] Training finished, exiting ..."}, None},
		{"nor did one that ended well", Exit{Known: true}, []string{"05:00:10 [INFO] [Rank 0] Evicting nodes: [1]", step}, None},
		{"what Python ignores at its end", Exit{}, []string{"Exception ignored in: <function f at 0x7f>", "Traceback (most recent call last):", `  File "/opt/a.py", line 1, in f`, "    x()", "OSError: [Errno 28] No space left on device"}, None},
		{"an import that is tried", Exit{}, []string{"A matching Triton is not available, some optimizations will not be enabled.", "Error caught was: No module named 'triton'"}, None},
		{"a port that is taken, and another tried", ok, amid("INFO: Address already in use, trying port 29501"), None},
		{"without an exit either", Exit{}, amid("INFO: Address already in use, trying port 29501"), None},
		{"a warning with one letter", Exit{}, amid("[W] Connection reset by peer"), None},
		{"one of glog without its bracket", Exit{}, amid("W1128 12:00:00.123 Connection reset by peer"), None},
		{"one in logfmt", Exit{}, []string{`time=2026-01-02T03:04:05Z level=warning msg="No space left on device"`}, None},
		{"one in JSON", Exit{}, []string{`{"ts": "2026-01-02T03:04:05Z", "level": "warn", "msg": "No space left on device"}`}, None},
		{"one of Python's logging", Exit{}, []string{"2026-01-02 03:04:05,123 - trainer - WARNING - No space left on device"}, None},
		{"information counts where the process failed", Exit{Known: true, Code: 1}, []string{"[info] No space left on device"}, "disk_full"},
		{"a check that passed", Exit{}, amid("INFO No space left on device check passed"), None},
		{"a module that is done without", Exit{}, amid("ModuleNotFoundError: No module named flash_attn; using sdpa"), None},
		{"or instead of which another is used", Exit{}, amid("ImportError: cannot import name 'flash' from 'attn', using eager attention instead"), None},
		{"but the exception of a traceback is the end", Exit{}, []string{"Traceback (most recent call last):", `  File "/app/t.py", line 3, in f`, "    g()", "ImportError: no module for sdpa, fallback found; using none"}, "python_import_error"},
		{"a fallback that failed is no way out", Exit{}, []string{"ModuleNotFoundError: No module named flash_attn and the fallback also failed"}, "python_import_error"},
		{"a text of help", Exit{}, amid("  --oom-action  what to do on CUDA out of memory (default: raise)"), None},
		{"a text of help on a line of its own", Exit{}, amid("                        what to do on CUDA out of memory (default: raise)"), None},
		{"a line of usage", Exit{}, amid("usage: train.py [--oom {raise,skip}]  on CUDA out of memory"), None},
		{"information in any case", Exit{}, amid("Info - Address already in use"), None},
		{"another way in a second sentence", Exit{}, amid("Could not import flash_attn: No module named flash_attn. Using sdpa."), None},
		{"an object of settings", Exit{}, amid(`args = TrainingArguments(msg="CUDA out of memory")`), None},
		{"a quoted question", Exit{}, amid(`FAQ: what if I see "CUDA out of memory"?`), None},
		{"a dump of the configuration", Exit{}, amid(`config: {"on_nan": "raise", "msg": "Loss is NaN"}`), None},
		{"one of argparse", Exit{}, amid(`Namespace(on_oom='CUDA out of memory', lr=0.1)`), None},
		{"one in lines", Exit{}, amid("{", `  "oom_text": "CUDA out of memory",`, "}"), None},
		{"a sample that quotes", Exit{}, amid(`sample 3: User asked: why "RuntimeError: CUDA error: device-side assert triggered"?`), None},
		{"a question in a sample", Exit{}, amid("User: why do I get CUDA out of memory?"), None},
		{"a sample that cannot be read", Exit{}, []string{"sample 3: OSError: [Errno 28] No space left on device: '/data/x'"}, "disk_full"},
		{"what was seen before a training completed", Exit{}, append(amid("OSError: [Errno 28] No space left on device"), "Training completed."), None},
		{"unless the process failed then", Exit{Known: true, Code: 1}, append(amid("OSError: [Errno 28] No space left on device"), "Training completed."), "disk_full"},
		{"a clean end outweighs all that did not spoil it", ok, []string{oom}, None},
		{"but not a loss that is lost", ok, []string{"step 1 loss 2.5", "step 2 loss nan", "step 3 loss nan", "Training completed."}, "nan_loss"},
		{"no output at all", Exit{Known: true, Code: 3}, nil, Unknown},
		{"no output and no end", Exit{}, nil, None},
	} {
		if got := causeOf(t, rules, tt.exit, tt.lines...); got.Category != tt.want {
			t.Errorf("%s: %s by %s, want %s", tt.name, got.Category, got.Rule, tt.want)
		}
	}
}

func TestSummariesNameTheFacts(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	for _, tt := range []struct {
		lines []string
		want  []string
	}{
		{[]string{"[rank3]: " + oom}, []string{"GPU 1", "rank 3", "2.00 GiB", "79.15 GiB"}},
		{[]string{"OSError: [Errno 28] No space left on device: '/data/ckpt/step_5'"}, []string{"/data/ckpt/step_5"}},
		{[]string{"ModuleNotFoundError: No module named 'flash_attn'"}, []string{"import flash_attn."}},
		{[]string{"ImportError: cannot import name 'a' from 'b.c' (/opt/b.py)"}, []string{"import a from b.c."}},
		{[]string{"[rank7]: AssertionError"}, []string{"ended on rank 7 with AssertionError: (no message)"}},
		{[]string{"torch.distributed.DistBackendError: NCCL error in: a.hpp:268, unhandled system error, NCCL version 2.21.5", "ncclSystemError: System call failed.", "Last error:", "Call to ibv_modify_qp failed with error Connection timed out"}, []string{"ibv_modify_qp failed"}},
		{[]string{"20:25:46 [INFO] [Rank 0] Caught an exception, terminating children", "20:25:46 [INFO] [Rank 0] The client socket has timed out after 300000ms while trying to connect to (10.0.0.1, 5565)."}, []string{"10.0.0.1", "port 5565"}},
		{[]string{"Traceback (most recent call last):", `  File "/app/train.py", line 12, in main`, "    f()", `  File "/opt/lib/python3.11/site-packages/torch/a.py", line 9, in g`, "    h()", "KeyError: 'x'"}, []string{"KeyError: 'x'", "train.py:12"}},
		{[]string{"torch.distributed.DistStoreError: Timed out after 901 seconds waiting for clients. 1/3 clients joined."}, []string{"1 of 3"}},
		{[]string{"[ 1.2] NVRM: Xid (PCI:0000:b3:00): 79, GPU has fallen off the bus."}, []string{"0000:b3:00", "Xid 79"}},
		{[]string{"FileNotFoundError: [Errno 2] No such file or directory: '/data/train.bin'"}, []string{"/data/train.bin"}},
		{[]string{"curl: (6) Could not resolve host: huggingface.co"}, []string{"huggingface.co"}},
		{[]string{"The server socket has failed to bind to [::]:29500 (errno: 98 - Address already in use)."}, []string{"29500"}},
		{[]string{refused}, []string{"10.0.0.3"}},
	} {
		got := causeOf(t, rules, Exit{}, tt.lines...)
		checkCause(t, got)
		for _, fact := range tt.want {
			if !strings.Contains(got.Summary, fact) {
				t.Errorf("%q lacks %q", got.Summary, fact)
			}
		}
		if strings.Contains(got.Summary, "?") {
			t.Errorf("%q has a fact that is not known", got.Summary)
		}
	}
}

func TestEvidenceIsTheFrameAndTheLine(t *testing.T) {
	t.Parallel()
	got := causeOf(t, builtinRules(t), Exit{}, "hello", "Traceback (most recent call last):", `  File "/app/train.py", line 12, in main`, "    f()", "\x1b[31mKeyError: 'x'\x1b[0m\u202e")
	want := []Evidence{{2, `File "/app/train.py", line 12, in main`}, {4, "KeyError: 'x'"}}
	if !slices.Equal(got.Evidence, want) {
		t.Errorf("got %+v, want %+v", got.Evidence, want)
	}
}

func TestCausesOfWorkersAreCompared(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	root, echo := causeOf(t, rules, Exit{}, oom), causeOf(t, rules, Exit{}, watchdog)
	unknown, none := causeOf(t, rules, Exit{Known: true, Code: 1}), causeOf(t, rules, Exit{})
	for _, pair := range [][2]Cause{{root, echo}, {echo, unknown}, {unknown, none}} {
		if !pair[0].Beats(pair[1]) || pair[1].Beats(pair[0]) {
			t.Errorf("%s should beat %s", pair[0].Category, pair[1].Category)
		}
	}
	if a, b := causeOf(t, rules, Exit{}, "OSError: [Errno 28] No space left on device: '/a/b'"), causeOf(t, rules, Exit{}, "OSError: [Errno 28] No space left on device: '/a/c'"); a.Fingerprint() == b.Fingerprint() || a.Fingerprint() != "disk_full/disk-full//a/b" {
		t.Errorf("fingerprints %q, %q", a.Fingerprint(), b.Fingerprint())
	}
}

func TestEveryRuleDecidesSomething(t *testing.T) {
	t.Parallel()
	rules := builtinRules(t)
	decided := map[string]bool{}
	for _, name := range []string{"../logparse/testdata/cases.jsonl", "testdata/held-out.jsonl"} {
		for _, c := range loadCases(t, name) {
			decided[c.diagnose(t, rules).Category] = true
		}
	}
	for _, c := range rules.Categories() {
		if c.Console {
			continue
		}
		if !decided[c.Name] {
			t.Errorf("no case is of category %s", c.Name)
		}
		if c.Name != None && len(rules.Of(c.Name)) == 0 {
			t.Errorf("no rule is of category %s", c.Name)
		}
	}
}

func TestAnAdministratorAddsAndOverridesRules(t *testing.T) {
	t.Parallel()
	builtin := builtinRules(t)
	rules, err := builtin.With("acme.toml", []byte(`
[[rule]]
id = "acme-licence"
category = "config_invalid"
any = ["licence server"]
match = 'licence server (?P<host>\S+) denied'
weight = 95
summary = "The licence server {host} denied the run."
hint = "Ask the platform team."

[[rule]]
id = "cuda-oom"
off = true
`))
	if err != nil {
		t.Fatal(err)
	}
	if got := causeOf(t, rules, Exit{}, "Licence Server lic-1 denied", "licence server lic-1 denied"); got.Summary != "The licence server lic-1 denied the run." || got.Evidence[0].Line != 1 {
		t.Errorf("got %+v", got)
	}
	if got := causeOf(t, rules, Exit{}, oom); got.Category != "python_exception" {
		t.Errorf("a rule that is off decided: %+v", got)
	}
	if got := causeOf(t, builtin, Exit{}, oom); got.Category != "cuda_oom" {
		t.Errorf("the rules before have changed: %+v", got)
	}
}

func TestBrokenRulesAreRefused(t *testing.T) {
	t.Parallel()
	builtin := builtinRules(t)
	rule := func(lines ...string) string {
		return "[[rule]]\n" + strings.Join(lines, "\n") + "\n"
	}
	const id, category, text, weight, words = `id = "a"`, `category = "disk_full"`, `any = ["something"]`, "weight = 50", "summary = \"s\"\nhint = \"h\""
	for _, tt := range []struct{ toml, want string }{
		{"]", "is no TOML"},
		{"[[rule]]\nid = 1", "is no TOML"},
		{rule(id, category, text, weight, words, "colour = 1"), "rule.colour is no field"},
		{rule(`id = "A b"`, category, text, weight, words), `id = "A b" is no ID`},
		{rule(id, `category = "sad"`, text, weight, words), `rule a: category = "sad" is no category`},
		{rule(id, category, weight, words), "any is empty"},
		{rule(id, category, `any = ["ab"]`, weight, words), `any = "ab" has 2 bytes`},
		{rule(id, category, text, words), `weight = "0" is out of range`},
		{rule(id, category, text, weight, words, "match = '(a'"), "is no regular expression: missing closing )"},
		{rule(id, category, text, weight, words, "match = '(?=a)'"), "no look-around"},
		{rule(id, category, text, weight, words, "match = '"+strings.Repeat("a", 2000)+"'"), "has more than 1000 bytes"},
		{rule(id, category, text, weight, `summary = "{nothing}"`, `hint = "h"`), `summary = "{nothing}" is no fact`},
		{rule(id, category, text, weight, `hint = "h"`), "summary is empty"},
		{rule(id, category, text, weight, words, `entity = "x"`), `entity = "x" is no fact`},
		{rule(id, category, text, weight, words, `exit = ["signal kill"]`), "is no end of a process"},
		{rule(id, category, text, weight, words, `needs = ["x"]`), `needs = "x" is no rule`},
		{rule(id, category, text, weight, words, `shape = "round"`), "is no shape"},
		{rule(id, category, text, weight, words, `curve = "flat"`), "is no end of a curve"},
		{rule(id, category, text, weight, words, "more = 9"), "more = \"9\" is out of range"},
		{rule(id, category, text, weight, words) + rule(id, category, text, weight, words), "is there twice"},
		{rule(id, "off = true"), "turns off a rule that is not there"},
		{"[[marker]]\nid = \"m\"\nany = [\"something\"]\neffect = \"none\"", "is no effect"},
		{"[[marker]]\nid = \"m\"\nany = [\"something\"]\neffect = \"recovered\"", "clears is empty"},
		{"[[fact]]\nmatch = 'a'", "has no group"},
		{strings.Repeat("#", MaxFile+1), "has more than"},
	} {
		_, err := builtin.With("acme.toml", []byte(tt.toml))
		var broken *RuleError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "acme.toml") || broken.Fix == "" {
			t.Errorf("%.60q: %v, want %q", tt.toml, err, tt.want)
		}
	}
	var many strings.Builder
	for i := range maxRules {
		many.WriteString("[[rule]]\nid=\"a" + strings.Repeat("b", i%30) + string(rune('a'+i/30%26)) + string(rune('a'+i/780)) + "\"\n" + category + "\n" + text + "\n" + weight + "\n" + words + "\n")
	}
	if _, err := builtin.With("acme.toml", []byte(many.String())); err == nil || !strings.Contains(err.Error(), "rules and markers of at most") {
		t.Errorf("%d rules: %v", maxRules, err)
	}
}

func TestTheReferenceIsWrittenDown(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(stored), builtinRules(t).Reference()) {
		t.Error("docs/troubleshooting.md has not what Reference returns: go run ./internal/diagnose/gendoc docs/troubleshooting.md")
	}
}
