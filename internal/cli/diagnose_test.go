package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/diagnose"
)

func TestDiagnosePrintsTheCause(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = "" // offline
	c.stdin = "hello\n[rank3]: RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 1; 79 GiB total capacity)\n"
	got := c.cotrain("diagnose", "--format", "json", "-").want(t, exitDone).out
	want := `{"category":"cuda_oom","retryable":false,"summary":"GPU memory ran out on GPU 1 of rank 3: 2.00 GiB were asked for.","hint":"`
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, `"evidence":[{"line":1,"text":"[rank3]: RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 1; 79 GiB total capacity)"}]}`+"\n") {
		t.Errorf("got %s", got)
	}
	c.cotrain("diagnose", "-").want(t, exitDone, "GPU memory ran out on GPU 1", "cuda_oom (a retry will not help)", "2  [rank3]: RuntimeError")
}

func TestDiagnoseKnowsHowTheProcessEnded(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.stdin = "step 1 loss 2.5\n"
	for args, want := range map[string]string{
		"":                              diagnose.None,
		"--exit-code 0":                 diagnose.None,
		"--exit-code 1":                 diagnose.Unknown,
		"--exit-code 137":               diagnose.Unknown,
		"--exit-code=-9":                diagnose.Unknown,
		"--signal 9":                    diagnose.Unknown,
		"--exit-code 137 --oom-killed":  "host_oom_sigkill",
		"--signal 11":                   "segfault",
		"--exit-code 143":               "preempted_sigterm",
		"--exit-code 0 --signal 0":      diagnose.None,
		"--oom-killed --format=json --": "host_oom_sigkill",
	} {
		r := c.cotrain(append(append([]string{"diagnose", "--format", "json"}, strings.Fields(args)...), "-")...).want(t, exitDone)
		var got diagnose.Cause
		if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Category != want || got.Evidence == nil {
			t.Errorf("%s: %s (%v), want %s", args, r.out, err, want)
		}
	}
	c.cotrain("diagnose", "--exit-code", "999", "-").want(t, exitUsage, "--exit-code 999 is no exit code")
	c.cotrain("diagnose", "--signal", "99", "-").want(t, exitUsage, "--signal 99 is no signal")
	c.cotrain("diagnose", "/nowhere/log").want(t, exitUsage, "no such file")
}

func TestDiagnoseShowsWhatATerminalWouldObey(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.stdin = "ValueError: \x1b]0;title\x07 \u202eevil\x9b31m \xff\n"
	for _, format := range []string{"json", "text"} {
		r := c.cotrain("diagnose", "--format", format, "-").want(t, exitDone)
		if strings.ContainsAny(r.out, "\x1b\x07\u202e\u009b") || !utf8.ValidString(r.out) {
			t.Errorf("%s prints %q", format, r.out)
		}
	}
}

func TestDiagnoseTriesFurtherRules(t *testing.T) {
	t.Parallel()
	b := newBinary(t, "")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const rule = "[[rule]]\nid = \"acme\"\ncategory = \"config_invalid\"\nany = [\"licence denied\"]\nweight = 80\nsummary = \"No licence.\"\nhint = \"Ask.\"\n"
	write("log", "licence denied\n")
	write("acme.toml", rule)
	write("bad.toml", strings.Replace(rule, "80", "800", 1))
	b.cotrain("diagnose", "log").want(t, exitDone, "Nothing in the output")
	b.cotrain("diagnose", "--rules", "acme.toml", "log").want(t, exitDone, "No licence.", "config_invalid")
	b.cotrain("diagnose", "--rules", "bad.toml", "log").want(t, exitUsage, "bad.toml: rule acme: weight", "800", "use 1 to 100")
	b.cotrain("diagnose", "--rules", "none.toml", "log").want(t, exitUsage, "none.toml")
}
