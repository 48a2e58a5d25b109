package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// TestTheListOfAProjectIsLiveInTheBrowser follows one project's list: its new run appears and ends without a reload, and a run
// of another project does not.
func TestTheListOfAProjectIsLiveInTheBrowser(t *testing.T) {
	t.Parallel()
	c := devConsole(t, t.TempDir())
	made, err := http.PostForm(c.url("/admin/projects"), url.Values{"name": {"vision"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Body.Close(); err != nil || made.StatusCode != http.StatusOK {
		t.Fatalf("the project is not made: %s, %v", made.Status, err)
	}
	c.submit(shortRun("first", "--project", "vision")...)
	b := openBrowser(t, c)
	b.open("/?project=vision")
	b.do("mark the page", script(`window.sameDocument = true`))
	other := c.submit(shortRun("elsewhere")...)
	second := c.submit(shortRun("second", "--project", "vision")...)
	state := fmt.Sprintf(`document.querySelector('#run-%s')?.dataset.runState`, second)
	b.waitFor("the new run appears", state+` !== undefined`)
	b.waitFor("its row is live", state+` === "succeeded"`)
	if !eval[bool](b, `window.sameDocument === true`) {
		t.Error("the page was reloaded")
	}
	if eval[bool](b, fmt.Sprintf(`document.querySelector('#run-%s') !== null`, other)) {
		t.Error("the list shows a run of another project")
	}
	b.open("/")
	b.waitFor("the list of all has both, with their projects", fmt.Sprintf(
		`document.querySelector('#run-%s [data-cell=project]')?.innerText === "vision" && document.querySelector('#run-%s [data-cell=project]')?.innerText === "default"`, second, other))
	b.accessible("the list of several projects")
}
