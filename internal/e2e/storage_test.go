package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
)

// TestTheReferenceTrainerWorksInSharedStorage trains on a dataset of the storage, saves there, goes on from there, and is
// told beforehand when what it names is not there.
func TestTheReferenceTrainerWorksInSharedStorage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir)
	common := []string{"--preset", "debug", "--nodes", "1", "--gpus", "0", "--set", "optim.warmup_steps=1", "--set", "data.fake=false", "--set", "data.dataset_name_or_paths=datasets/raw/sample.txt"}
	first := c.submit(append(common, "--name", "first", "--set", "ckpt.path=models/checkpoints/{run}", "--set", "ckpt.interval=2")...)
	c.becomes(first, run.Succeeded)
	folder := "models/checkpoints/" + string(first)
	if _, err := os.Stat(filepath.Join(dir, "storage", folder, "step_4", ".metadata")); err != nil {
		t.Errorf("no checkpoint in the storage: %v", err)
	}
	out, _, code := c.cli("storage", "list", folder, "--sizes")
	if code != 0 || !strings.Contains(out, "step_2/") || !strings.Contains(out, "step_4/") {
		t.Errorf("list: %d\n%s", code, out)
	}
	_, errOut, code := c.cli(append([]string{"run", "submit", "--name", "wrong", "--set", "ckpt.resume=" + folder + "/step_3"}, common...)...)
	if code != 4 || !strings.Contains(errOut, "use "+folder+"/step_4, which is complete") {
		t.Errorf("a checkpoint that is not there: %d\n%s", code, errOut)
	}
	second := c.submit(append(common, "--name", "second", "--set", "ckpt.resume="+folder+"/step_2", "--set", "optim.total_steps=6")...)
	c.becomes(second, run.Succeeded)
	if logs, _, _ := c.cli("run", "logs", string(second)); !strings.Contains(logs, "Loaded checkpoint from "+folder+"/step_2") {
		t.Errorf("it did not go on from the checkpoint:\n%s", logs)
	}
	if _, errOut, code := c.cli("storage", "delete", folder); code != 2 || !strings.Contains(errOut, "--yes") {
		t.Errorf("delete without --yes: %d\n%s", code, errOut)
	}
	if out, errOut, code := c.cli("storage", "delete", folder, "--yes"); code != 0 || !strings.Contains(out, "deleted") {
		t.Errorf("delete: %d %s %s", code, out, errOut)
	}
}

// TestPathsAreCompletedInTheBrowser types a path of shared storage into the form, and the second of a list.
func TestPathsAreCompletedInTheBrowser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := devConsole(t, dir)
	for _, name := range []string{"fineweb", "fineweb-edu"} {
		if err := os.MkdirAll(filepath.Join(dir, "storage", "datasets", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := openBrowser(t, c)
	b.open("/runs/new?preset=debug")
	const field = `[name="data.dataset_name_or_paths"]`
	offered := `[...document.querySelector('` + field + `').list.querySelectorAll("option")].map(o => o.value).join(" ")`
	b.do("open every section", script(`document.querySelectorAll("details").forEach(d => d.open = true)`))
	b.do("type a path", chromedp.WaitVisible(field), script(`document.querySelector('`+field+`').select()`), chromedp.SendKeys(field, "datasets/fine"))
	b.waitFor("both datasets are offered", offered+` === "datasets/fineweb/ datasets/fineweb-edu/"`)
	b.do("begin a second one", chromedp.SendKeys(field, "web/, datasets/ra"))
	b.waitFor("the second is completed", offered+` === "datasets/fineweb/, datasets/raw/"`)
	b.do("type nonsense", chromedp.SendKeys(field, "zzz"))
	b.waitFor("nothing is offered", offered+` === ""`)

	b.open("/storage")
	b.accessible("the root of shared storage")
	b.do("go on with the keyboard", script(`document.querySelector("tr[data-storage-name='models'] a").focus()`), chromedp.KeyEvent("\r"))
	b.waitFor("the folder", `document.querySelector("[data-storage-path]").dataset.storagePath === "models"`)
	b.open("/storage?path=models/final")
	b.accessible("an empty folder")
}
