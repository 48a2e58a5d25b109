package e2e

import (
	"os/exec"
	"testing"

	"github.com/chromedp/chromedp"
)

// loginConsole is a console with log-in, an administrator ann and a project vision. Its cluster is away.
func loginConsole(t *testing.T) *process {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed (apt-get install chromium)")
	}
	c := start(t, []string{"COTRAIN_LISTEN=" + anyPort, "COTRAIN_DATA_DIR=" + t.TempDir(), "NOMAD_ADDR=http://127.0.0.1:1"}, "server")
	c.admit(&pass{})
	if _, errs, code := c.cli("project", "create", "vision", "--description", "Pictures, and what is to be seen in them"); code != 0 {
		t.Fatal(errs)
	}
	if _, errs, code := c.cli("user", "create", "robot", "--service"); code != 0 {
		t.Fatal(errs)
	}
	return c
}

// wide gives the browser the screen of a desk.
func (b *browser) wide() {
	b.t.Helper()
	b.do("be wide", chromedp.EmulateViewport(1440, 900))
}

// TestThePagesOfATeamAreAccessible has axe look at the pages of accounts, of administration, of help and of the search, in both
// themes, and has them fit narrow screens.
func TestThePagesOfATeamAreAccessible(t *testing.T) {
	t.Parallel()
	c := loginConsole(t)
	b := openBrowser(t, c)
	look := func(path string) {
		b.wide()
		b.open(path)
		if eval[bool](b, `document.querySelector(".error-page") !== null`) {
			t.Errorf("%s is an error: %s", path, b.excerpt())
		}
		b.do("open what is folded", script(`document.querySelectorAll("details").forEach((d) => d.open = true)`))
		b.accessible(path)
		b.fits(path)
	}
	for _, path := range []string{
		"/help", "/help/security", "/help/first-day", "/help/shortcuts", "/search?q=run", "/search?q=nothing-has-this", "/account", "/account/factor", "/device",
		"/admin", "/admin/users", "/admin/users/ann", "/admin/users/robot", "/admin/users/robot/delete", "/admin/projects", "/admin/secrets", "/projects/vision", "/projects/vision/delete", "/admin/audit", "/admin/audit?q=nothing-has-this",
	} {
		look(path)
	}
	b.logOut(`location.pathname === "/login"`)
	look("/login")
}

// TestKeysAloneCanBeSwitchedOff presses the key of a new run, before and after the switch in the account menu.
func TestKeysAloneCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	b := openBrowser(t, devConsole(t, t.TempDir()))
	b.open("/templates")
	b.do("press n", chromedp.KeyEvent("n"))
	b.waitFor("the form of a new run", `location.pathname === "/runs/new"`)
	b.open("/templates")
	b.click(".topbar-account")
	b.click(`#account [name="keys"]`)
	b.waitFor("the page without keys", `document.documentElement.dataset.keys === "off"`)
	b.open("/templates") // the page before is that of a form, whose scripts may not be there yet
	b.do("press n and /", chromedp.KeyEvent("n"), chromedp.KeyEvent("/"))
	b.do("press Ctrl-K", chromedp.KeyEvent("k", chromedp.KeyModifiers(2)))
	b.waitFor("the search alone is open", `location.pathname === "/templates" && document.querySelector("#search").open && document.querySelector("#search input").value === ""`)
}
