package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

func TestSecretsAreNotKept(t *testing.T) {
	t.Parallel()
	all := map[string]any{
		"password": "hunter2", "nested": map[string]any{"API_KEY": "hunter2", "max_tokens": 7, "pin_token": 4711}, "args": []string{"--hf-token", "hunter2", "--seed", "1", "TOKEN=hunter2"},
		"env": map[string]string{"WANDB_API_KEY": "hunter2", "NCCL_DEBUG": "INFO"}, "url": "https://me:hunter2@example.org/x", "header": "Bearer hunter2hunter2", "text": "see ghp_hunter2hunter2 there",
		"has_password": true, "empty_token": "", "escaped": json.RawMessage(`{"tok\u0065n":"hunter2"}`), "html": "<a&b>", "long": strings.Repeat("y", 5000),
	}
	for name, value := range all { // alone, what has nothing to hide is not taken apart
		v, err := audit.Value(map[string]any{name: value})
		if err != nil || bytes.Contains(v, []byte("hunter2")) || bytes.Contains(v, []byte("4711")) || len(v) > 1000 {
			t.Errorf("%s, %v", v, err)
		}
	}
	v, err := audit.Value(all)
	if err != nil || bytes.Contains(v, []byte("hunter2")) || bytes.Contains(v, []byte("4711")) {
		t.Errorf("%s, %v", v, err)
	}
	for _, kept := range []string{`"max_tokens":7`, `"NCCL_DEBUG":"INFO"`, `"has_password":true`, `"empty_token":""`, `"--seed","1"`, "TOKEN=(hidden)", "https://(hidden)@example.org/x", `"html":"<a&b>"`, "(5000 bytes, sha256 "} {
		if !bytes.Contains(v, []byte(kept)) {
			t.Errorf("%q is not in %s", kept, v)
		}
	}
	if v, err := audit.Value([]string{strings.Repeat("a ", 2000), strings.Repeat("b ", 2000), strings.Repeat("c ", 20_000)}); err != nil || len(v) > 33<<10 {
		t.Errorf("%d bytes, %v", len(v), err)
	}
}

// hostile has every kind of character that JSON, CSV and a terminal treat in their own way.
const hostile = "=1+1\"\\\x00\x01\x1b[31m\u2028\u202e<&>\xff\n,'é👍"

// chain is an export of three entries.
func chain() []byte {
	var out []byte
	var h audit.Hash
	for i, name := range []string{"ann", hostile, "bob"} {
		e := audit.Entry{Seq: int64(i + 1), At: time.UnixMilli(1_700_000_000_123), Logged: time.UnixMilli(1_700_000_000_124), Actor: audit.Actor{Name: name}, Action: "login", Outcome: audit.Done, After: []byte(`{"a":1.50}`)}.Clean()
		next := h.Next(e.AppendCanonical(nil))
		out = audit.AppendLine(out, h, e, next)
		h = next
	}
	return out
}

// TestTheProgramInTheDocumentationVerifiesAnExport runs it, where there is Python.
func TestTheProgramInTheDocumentationVerifiesAnExport(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(doc), "//\timport hashlib")
	program, _, _ = strings.Cut("//\timport hashlib"+program, "//\n")
	program = regexp.MustCompile(`(?m)^//\t`).ReplaceAllString(program, "")
	good := chain()
	for what, test := range map[string]struct {
		text []byte
		want string
	}{
		"good":    {good, "3 lines"},
		"changed": {bytes.Replace(good, []byte("bob"), []byte("eve"), 1), "line 3 was changed"},
		"missing": {append(bytes.Clone(bytes.SplitAfter(good, []byte("\n"))[0]), bytes.SplitAfter(good, []byte("\n"))[2]...), "before line 2 are missing"},
	} {
		file := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(file, test.text, 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.CommandContext(t.Context(), python, "-c", program, file).CombinedOutput() // its exit code says the same
		if !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %s", what, out)
		}
	}
}

func TestHostileTextsStayInTheirPlace(t *testing.T) {
	t.Parallel()
	for line := range bytes.Lines(chain()) {
		if l, ok := audit.ParseLine(line); !ok || l.Prev.Next(l.Text) != l.Hash {
			t.Errorf("%q is no line", line)
		}
	}
	row := audit.Row{Entry: audit.Entry{Actor: audit.Actor{Name: hostile, Agent: "@x"}, Reason: "-1"}}
	for _, cell := range row.CSV() {
		if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
			t.Errorf("a spreadsheet would compute %q", cell)
		}
	}
}

func TestWordsOfAnEntry(t *testing.T) {
	t.Parallel()
	e := audit.Entry{Actor: audit.Actor{Name: "Ann@Example.org", Address: "10.0.0.7"}, Subject: "run:r-0k3v9d2m1a", After: []byte(`{"name":"Größe-7B","note":"a \"quoted\" word"}`)}
	have := " " + strings.Join(e.Words(), " ") + " "
	for _, w := range []string{"ann@example.org", "ann", "10.0.0.7", "r-0k3v9d2m1a", "größe-7b", "7b", "quoted"} {
		if !strings.Contains(have, " "+w+" ") {
			t.Errorf("%s is not in%s", w, have)
		}
	}
	if strings.Contains(have, " name ") || strings.Contains(have, " 0k3v9d2m1a ") {
		t.Errorf("words are%s", have)
	}
}
