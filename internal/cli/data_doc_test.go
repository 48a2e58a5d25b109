package cli

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/docs"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

// TestTheDocumentedPythonReadsAnExportExactly runs the lines of docs/data.md that need no package.
func TestTheDocumentedPythonReadsAnExportExactly(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	text, err := docs.Files().ReadFile("data.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(text), "## Python\n\n```python\n")
	code, _, closed := strings.Cut(code, "```")
	if !found || !closed {
		t.Fatal("no lines of Python")
	}
	c := newConsole(t)
	id := string(c.Add(run.Run{State: run.Running}))
	c.SetMetric(run.ID(id), "loss", []points.WorkerPoint{
		{Rank: 0, Step: 1, Value: 0.30000000000000004}, {Rank: 0, Step: 2, Value: run.Number(math.NaN())}, {Rank: 1, Step: 2, Value: 2.2250738585072014e-308},
	}, nil)
	c.SetMetric(run.ID(id), "system/cpu", []points.WorkerPoint{{Rank: 0, Step: 1_700_000_000_000, Value: 0.5}}, nil)
	dir := t.TempDir()
	c.cotrain("run", "metrics", id, "--format", "csv", "-o", filepath.Join(dir, "metrics.csv")).want(t, exitDone)
	file := filepath.Join(dir, "read.py")
	if err := os.WriteFile(file, []byte(code+"for key in sorted(loss): print(*key, repr(loss[key]))\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, file)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	want := id + " 0 1 0.30000000000000004\n" + id + " 0 2 nan\n" + id + " 1 2 2.2250738585072014e-308\n"
	if err != nil || string(out) != want {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
}
