package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestTwoProjectsTrainInTheirOwnFolders has two projects save under the same relative path at the same time, and each see its own.
func TestTwoProjectsTrainInTheirOwnFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir)
	ok := func(args ...string) string {
		t.Helper()
		out, errOut, code := c.cli(args...)
		if code != 0 {
			t.Fatalf("%q: %d\n%s%s", args, code, out, errOut)
		}
		return out
	}
	for _, p := range []string{"one", "two", "three"} {
		ok("project", "create", p)
	}
	ok("project", "change", "one", "--folder", "teams/one")
	ok("project", "change", "two", "--folder", "teams/two")
	if _, errOut, code := c.cli("project", "change", "three", "--folder", "models"); code == 0 || !strings.Contains(errOut, "is part of the layout of shared storage") {
		t.Errorf("a folder of the layout: %d %s", code, errOut)
	}
	const folder = "models/checkpoints/mine"
	submit := func(project, path string) []string {
		return []string{"--project", project, "--name", "mine", "--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.warmup_steps=1", "--set", "ckpt.path=" + path, "--set", "ckpt.interval=2"}
	}
	runs := map[string]run.ID{"one": c.submit(submit("one", folder)...), "two": c.submit(submit("two", folder)...)}
	for _, path := range []string{filepath.Join(dir, "storage", "teams/two", folder), "../two/" + folder} {
		_, errOut, code := c.cli(append([]string{"run", "submit"}, submit("one", path)...)...)
		if code != 4 || !strings.Contains(errOut, "is outside of the project's folder teams/one") {
			t.Errorf("%s: %d\n%s", path, code, errOut)
		}
	}
	for project, id := range runs {
		c.becomes(id, run.Succeeded)
		if _, err := os.Stat(filepath.Join(dir, "storage", "teams", project, folder, "step_4", ".metadata")); err != nil {
			t.Errorf("no checkpoint in the folder of %s: %v", project, err)
		}
		if out := ok("storage", "list", folder, "--project", project); !strings.Contains(out, "step_4/") {
			t.Errorf("%s does not see its checkpoints:\n%s", project, out)
		}
	}
	ok("storage", "delete", folder+"/step_4", "--project", "one", "--yes")
	if out := ok("storage", "list", folder, "--project", "two"); !strings.Contains(out, "step_4/") {
		t.Errorf("what one project deleted is gone for the other:\n%s", out)
	}
	if out := ok("storage", "list", "--project", "three"); !strings.Contains(out, "teams/") || strings.Contains(ok("storage", "list", "teams", "--project", "three"), "one") {
		t.Errorf("a project without a folder sees those of others:\n%s", out)
	}
	for _, args := range [][]string{{"list", "teams/one", "--project", "three"}, {"list", "teams/one", "--project", "two"}, {"delete", "teams/one", "--yes", "--project", "three"}} {
		if _, errOut, code := c.cli(append([]string{"storage"}, args...)...); code != 3 {
			t.Errorf("%q: %d %s", args, code, errOut)
		}
	}
	if out := ok("storage", "list", "teams/one/"+folder); !strings.Contains(out, "step_2/") {
		t.Errorf("an administrator does not see all:\n%s", out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "storage", "teams/two")); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := c.cli(append([]string{"run", "submit"}, submit("two", folder)...)...); code != 4 || !strings.Contains(errOut, "teams/two") || !strings.Contains(errOut, "storage layout --repair") {
		t.Errorf("a folder that has gone: %d\n%s", code, errOut)
	}
	if _, errOut, _ := c.cli("storage", "layout", "--project", "two", "--repair"); !strings.Contains(errOut, "Made the layout.") {
		t.Errorf("repair: %s", errOut)
	}
}
