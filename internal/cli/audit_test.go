package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/client"
)

// audited is a console with a log of five entries, of which one has a hostile text.
func audited(t *testing.T) *console {
	t.Helper()
	c := newConsole(t)
	for i, e := range []audit.Entry{
		{Actor: audit.Actor{Name: "ann", Address: "10.0.0.7"}, Action: "runs.submit", Project: "llm", Subject: "run:r-0000000001", Outcome: audit.Done, After: []byte(`{"name":"llama-7b"}`)},
		{Actor: audit.Actor{Name: "bob"}, Action: "runs.stop", Project: "llm", Subject: "run:r-0000000001", Outcome: audit.Refused, Reason: "needs the role operator"},
		{Actor: audit.Actor{Name: "\x1b[31mmallory\u202e", Agent: "=cmd|calc"}, Action: "login", Outcome: audit.Refused},
		{Actor: audit.Actor{Name: "ann"}, Action: "runs.stop", Project: "llm", Subject: "run:r-0000000001", Outcome: audit.Done},
		{Actor: audit.Actor{Name: "ann"}, Action: "runs.delete", Project: "vision", Subject: "run:r-0000000002", Outcome: audit.Done},
	} {
		e.At = c.now.Add(time.Duration(i-10) * time.Hour)
		c.Audit.Append(e)
	}
	return c
}

func TestTheAuditLogIsListed(t *testing.T) {
	t.Parallel()
	c := audited(t)
	c.cotrain("audit", "list").want(t, exitDone, "ENTRY", "ann", "10.0.0.7", "refused: needs the role operator", "run:r-0000000002")
	for args, want := range map[string]string{
		"--actor bob": "2", "llama": "1", "--action runs.stop --outcome done": "4", "--project vision": "5", "--since 6h30m": "5", "--until 7h": "3,2,1",
		"--until 2026-01-01T18:30:00Z": "2,1", "--subject run:r-0000000001 --limit 2": "4,2", "--address 10.0.0.7 7b": "1", "giraffe": "",
	} {
		got := fromJSON[client.AuditPage](t, c.cotrain(append([]string{"audit", "list", "--format", "json"}, strings.Fields(args)...)...).want(t, exitDone))
		var seqs []string
		for _, e := range got.Items {
			seqs = append(seqs, string(rune('0'+e.Seq)))
		}
		if s := strings.Join(seqs, ","); s != want {
			t.Errorf("%s: entries %s, want %s", args, s, want)
		}
	}
	c.cotrain("audit", "list", "--since", "yesterday").want(t, exitUsage, "is no time")
	c.cotrain("audit", "list", "--outcome", "x").want(t, exitRefused)
	c.cotrain("audit", "list", "giraffe").want(t, exitDone, "no entries")
	c.terminal = true
	for _, args := range []string{"list", "list --format json", "export", "export --format csv"} {
		if r := c.cotrain(append([]string{"audit"}, strings.Fields(args)...)...); strings.ContainsAny(r.out, "\x1b\u202e") || !strings.Contains(r.out, "mallory") {
			t.Errorf("%s lets an entry control the terminal: %q", args, r.out)
		}
	}
}

func TestTheAuditLogIsExportedAndVerified(t *testing.T) {
	t.Parallel()
	c := audited(t)
	c.cotrain("audit", "verify").want(t, exitDone, "The chain is whole: 5 entries, 1 to 5")
	if r := c.cotrain("audit", "export", "--format", "csv").want(t, exitDone, "seq,at,", "'=cmd|calc"); strings.Count(r.out, "\n") != 6 {
		t.Errorf("%s", r.out)
	}
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	c.cotrain("audit", "export", "-o", file).want(t, exitDone, "audit.jsonl")
	c.cotrain("audit", "export", "-o", file).want(t, exitUsage, "--force")
	c.url = "" // from here on without a console
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	lines := strings.SplitAfter(good, "\n")[:5]
	v := fromJSON[audit.Verdict](t, c.cotrain("audit", "verify", file, "--format", "json").want(t, exitDone))
	if v.Entries != 5 || v.Last != 5 || !v.OK() {
		t.Errorf("%+v", v)
	}
	c.cotrain("audit", "verify", file, "--expect", "5:"+v.Hash).want(t, exitDone, "whole")
	c.cotrain("audit", "verify", file, "--expect", "5:"+strings.Repeat("0", 64)).want(t, exitFailed, "Entry 5 has another hash than was expected")
	c.cotrain("audit", "verify", file, "--expect", "5").want(t, exitUsage, "64 digits")
	for what, test := range map[string]struct{ text, want string }{
		"changed":   {strings.Replace(good, `"bob"`, `"eve"`, 1), "Entry 2 was changed."},
		"missing":   {lines[0] + lines[2] + lines[3] + lines[4], "Entry 2 is missing."},
		"moved":     {lines[0] + lines[2] + lines[1] + lines[3] + lines[4], "Entry 2 comes after entry 3"},
		"inserted":  {lines[0] + lines[1] + lines[1] + lines[2] + lines[3] + lines[4], "Entry 2 comes after entry 2"},
		"beheaded":  {lines[2] + lines[3] + lines[4], "The log begins with entry 3, and no entry says that retention removed those before it."},
		"cut short": {lines[0] + lines[1] + lines[2][:200], "Line 3 is no entry"},
		"no export": {"hello\n", "Line 1 is no entry of an export."},
	} {
		c.stdin = test.text
		r := c.cotrain("audit", "verify", "-")
		if what == "cut short" {
			if r.code != exitFailed {
				t.Errorf("%s: %+v", what, r)
			}
			continue
		}
		r.want(t, exitFailed, test.want)
	}
	c.stdin = lines[1] + lines[3]
	c.cotrain("audit", "verify", "-", "--partial").want(t, exitDone, "2 entries are as they were written")
	c.stdin = ""
	c.cotrain("audit", "verify", "-").want(t, exitDone, "no entries")
	c.cotrain("audit", "verify", "no-such-file").want(t, exitUsage, "no-such-file")
}
