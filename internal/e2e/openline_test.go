package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestAProgressBarMovesInTheBrowser looks at a trainer that draws one with carriage returns and without a newline.
func TestAProgressBarMovesInTheBrowser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	trainer, enough := filepath.Join(dir, "trainer"), filepath.Join(dir, "enough")
	script := fmt.Sprintf(`#!/bin/sh
echo loading
i=0
until [ -e %s ]; do i=$((i + 1)); printf '\r%%d shards' "$i"; sleep 0.1; done
printf '\rall shards are there\n'
`, enough)
	if err := os.WriteFile(trainer, []byte(script), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	c := devConsole(t, filepath.Join(dir, "data"), "COTRAIN_JOB_TRAIN_COMMAND="+trainer)
	id := c.submit("--name", "bar", "--preset", "debug", "--nodes", "1", "--gpus", "0")
	c.becomes(id, run.Running)
	b := openBrowser(t, c)
	b.open("/runs/" + string(id))
	const bar = `[...document.querySelectorAll(".log-line .log-text")].map((e) => e.textContent).filter((s) => s.endsWith("shards"))`
	b.waitFor("the bar is there, once", bar+".length === 1")
	first := eval[string](b, bar+"[0]")
	b.waitFor("the bar moves", fmt.Sprintf("%s.length === 1 && %s[0] !== %q", bar, bar, first))
	if err := os.WriteFile(enough, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.waitFor("the line has ended", `[...document.querySelectorAll(".log-line .log-text")].filter((e) => e.textContent.includes("all shards are there")).length === 1 && `+bar+".length === 0")
	logs, _, _ := c.cli("run", "logs", string(id))
	if strings.Count(logs, "all shards are there") != 1 {
		t.Errorf("the log is\n%s", logs)
	}
}
