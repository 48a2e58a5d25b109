package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/cotrain/cotrain/internal/run"
)

// admitPassword is that of the people in the tests.
const admitPassword = "plenty of small otters"

// logIn signs in on the page of the log-in.
func (b *browser) logIn(name, password string) {
	b.t.Helper()
	b.open("/login")
	b.fill("[name=name]", name)
	b.fill("[name=password]", password)
	b.click("[data-action=login]")
	b.waitFor(name+" is signed in", `location.pathname === "/"`)
}

// logOut signs out as another tab would, and waits for what the page does then.
func (b *browser) logOut(then string) {
	b.t.Helper()
	b.do("sign out", script(`void fetch("/logout", {method: "POST"})`))
	b.waitFor("the page notices that it is signed out", then)
}

// post sends a form as the page does.
func (b *browser) post(path, body string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`fetch(%q, {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: %q}).then(r => r.text())`, path, body), chromedp.EvalAwaitPromise)
}

// newTeam is a console with log-in and an agent of its own, and a browser in which the link in the log has made the
// administrator ann.
func newTeam(t *testing.T) (*process, *browser) {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed (apt-get install chromium)")
	}
	dir := t.TempDir()
	agent := start(t, nil, "agent", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "agent"))
	c := start(t, []string{
		"COTRAIN_LISTEN=" + anyPort, "COTRAIN_DATA_DIR=" + filepath.Join(dir, "console"), "NOMAD_ADDR=http://" + agent.addr,
		fmt.Sprintf("COTRAIN_JOB_TRAIN_COMMAND=%s trainer", binary),
	}, "server")
	b := openBrowser(t, c)
	var code []string
	c.eventually("the log has the link", func() bool { code = setUpCode.FindStringSubmatch(c.output()); return code != nil })
	b.open("/setup?code=" + code[1])
	b.accessible("the page of the first administrator")
	b.fill("[name=name]", "ann")
	b.fill("[name=password]", admitPassword)
	b.fill("[name=again]", admitPassword)
	b.click("[data-action=setup]")
	b.waitFor("ann is signed in", `location.pathname === "/"`)
	return c, b
}

// TestFromTheFirstLinkToASignedOutPage is the first day of a team: the link in the log makes an administrator, who makes a
// project and a user; the user sees that project only, makes a token with which the command line submits a run, and signs out.
func TestFromTheFirstLinkToASignedOutPage(t *testing.T) {
	t.Parallel()
	c, b := newTeam(t)
	for _, project := range []string{"vision", "secret-plans"} {
		b.post("/admin/projects", "name="+project)
	}
	made := b.post("/admin/users", "name=bob&kind=person")
	_, rest, _ := strings.Cut(made, `id="secret"`)
	_, rest, _ = strings.Cut(rest, ">")
	first, _, _ := strings.Cut(rest, "<")
	b.post("/projects/vision/members", "user=bob&role=operator")
	b.open("/projects/vision")
	b.waitFor("bob is a member", `document.querySelector("[data-member=bob]") !== null`)
	b.logOut(`location.pathname === "/login"`)

	b.open("/login")
	b.fill("[name=name]", "bob")
	b.fill("[name=password]", strings.TrimSpace(first))
	b.click("[data-action=login]")
	b.waitFor("bob has to choose a password", `location.pathname === "/account/password"`)
	b.accessible("the page of a new password")
	b.fill("[name=current]", strings.TrimSpace(first))
	b.fill("[name=password]", admitPassword)
	b.fill("[name=again]", admitPassword)
	b.click("[data-action=change-password]")
	b.waitFor("bob goes on", `location.pathname === "/"`)
	for path, shown := range map[string]bool{"/projects/vision": true, "/projects/secret-plans": false, "/admin/users": false} {
		b.open(path)
		if got := eval[bool](b, `!/^40[34]/.test(document.querySelector("main").innerText.trim())`); got != shown {
			t.Errorf("bob at %s: %s", path, b.excerpt())
		}
		if strings.Contains(eval[string](b, `document.querySelector(".topbar").textContent`), "secret-plans") {
			t.Errorf("the top bar at %s names a project that is not bob's", path)
		}
	}
	b.open("/account")
	_, rest, _ = strings.Cut(b.post("/account/tokens", "name=ci&scopes=write&expires_at=7"), "ctk_")
	token := "ctk_" + rest[:56]
	out, errs, exit := command(t, []string{"COTRAIN_ADDR=http://" + c.addr, "COTRAIN_TOKEN=" + token}, append([]string{"run", "submit", "--format", "json"}, shortRun("by a program")...)...)
	var r run.Run
	if err := json.Unmarshal([]byte(out), &r); err != nil || exit != 0 || r.Project != "vision" || r.Owner != "bob" {
		t.Fatalf("code %d: %s %s", exit, out, errs)
	}
	b.open("/runs/" + string(r.ID))
	b.waitFor("it goes well", `document.querySelector("#run-headline").dataset.runState === "succeeded"`)
	b.logOut(`location.pathname === "/login" && location.search.includes("` + string(r.ID) + `")`)

	b.logIn("bob", admitPassword)
	b.open("/account/password")
	b.fill(`[name="current"]`, "half a form")
	b.do("mark the page", script(`window.sameDocument = true`))
	b.logOut(`document.querySelector("[data-banner=access]").hidden === false`)
	if !eval[bool](b, `window.sameDocument === true && document.querySelector('[name="current"]').value === "half a form"`) {
		t.Error("what was filled in is gone")
	}

	b.logIn("ann", admitPassword)
	b.open("/admin/audit?subject=run:" + string(r.ID))
	if got := b.text("main"); !strings.Contains(got, "bob") || !strings.Contains(got, "runs.submit") {
		t.Errorf("the audit log says %q", got)
	}
	b.accessible("the audit log")
}
