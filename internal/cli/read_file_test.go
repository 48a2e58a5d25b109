package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEveryCommandThatReadsAFileRefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, missing, huge := filepath.Join(dir, "pipe"), filepath.Join(dir, "missing"), filepath.Join(dir, "huge")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<40); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	c := newConsole(t)
	for _, tt := range []struct{ name, why string }{
		{"/dev/zero", "is a device, not a file"}, {pipe, "is a named pipe, not a file"}, {dir, "is a folder, not a file"}, {missing, "no such file"}, {huge, "has more than 4194304 bytes"},
	} {
		for _, args := range [][]string{
			{"config", "validate", tt.name}, {"config", "estimate", tt.name}, {"config", "import", tt.name}, {"template", "import", tt.name},
			{"run", "submit", "--name", "x", "--file", tt.name}, {"template", "save", "x", "--file", tt.name}, {"sweep", "submit", "--name", "x", "--list", tt.name},
			{"server", "--config", tt.name},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			out, errOut := &output{}, &output{}
			p := c.process(out, errOut, args...)
			p.readFile = readFile
			code := p.run(ctx)
			if code != exitUsage || !strings.Contains(errOut.String(), tt.why) {
				t.Errorf("%v: exit %d, %s", args, code, errOut.String())
			}
			cancel()
		}
	}
}

// endless never ends.
type endless struct {
	t *testing.T
	n int
}

func (e *endless) Read(b []byte) (int, error) {
	if e.n += len(b); e.n > maxFile {
		e.t.Fatal("it is read without bound")
	}
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestTheStandardInputIsReadWithinBounds(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for _, args := range [][]string{{"config", "validate", "-"}, {"config", "estimate", "-"}, {"config", "import", "-"}, {"template", "import", "-"}, {"run", "submit", "--name", "x", "--file", "-"}, {"sweep", "submit", "--name", "x", "--list", "-"}} {
		errOut := &output{}
		p := c.process(&output{}, errOut, args...)
		p.stdin = &endless{t: t}
		if code := p.run(t.Context()); code != exitUsage || !strings.Contains(errOut.String(), "has more than") {
			t.Errorf("%v: exit %d, %s", args, code, errOut.String())
		}
	}
}

func TestAPipeThatTheShellHasOpenedIsRead(t *testing.T) {
	t.Parallel()
	b := newBinary(t, "127.0.0.1:1")
	for _, line := range []string{
		"printf '[train]\\nmicro_bs = 4\\n' | cotrain config validate /dev/stdin",
		"printf '[train]\\nmicro_bs = 4\\n' | cotrain config validate /dev/fd/3 3<&0",
		"printf '[train]\\nmicro_bs = 4\\n' | cotrain config validate -",
	} {
		if r := b.shell(line); r.code != exitDone || !strings.Contains(r.out, "valid, 0 errors") {
			t.Errorf("%s: exit %d, %s %s", line, r.code, r.out, r.errOut)
		}
	}
}
