package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// begin enters name and password, and waits for the page that a console then shows.
func (b *browser) begin(name, password, path string) {
	b.t.Helper()
	b.open("/login")
	b.fill("[name=name]", name)
	b.fill("[name=password]", password)
	b.click("[data-action=login]")
	b.waitFor("the log-in leads to "+path, `location.pathname === "`+path+`"`)
}

// enterCode enters a code of a second factor, and waits for an expression.
func (b *browser) enterCode(code, then string) {
	b.t.Helper()
	b.fill("[name=code]", code)
	b.click("[data-action=login-code]")
	b.waitFor("the code "+code+" is answered", then)
}

// TestASecondFactorFromItsFirstCodeToAResetOfAll sets a second factor up, signs in with codes of it, and gets an administrator
// who has lost everything in again, on the console's machine.
func TestASecondFactorFromItsFirstCodeToAResetOfAll(t *testing.T) {
	t.Parallel()
	const in, out, wrong = `location.pathname === "/"`, `location.pathname === "/login"`, `document.querySelector("[data-problem]")`
	c, b := newTeam(t)
	b.open("/account/factor")
	b.accessible("the page of a new second factor")
	secret := strings.ReplaceAll(b.text("#factor-secret"), " ", "")
	code := func(later time.Duration) string {
		text, err := totp.GenerateCode(secret, time.Now().Add(later))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	b.fill("[name=code]", code(0))
	b.click("[data-action=confirm-factor]")
	b.waitFor("it is confirmed", `document.querySelector("#recovery-codes")`)
	b.accessible("the page of the recovery codes")
	recovery := strings.Fields(b.text("#recovery-codes"))
	if len(recovery) != 10 {
		t.Fatalf("recovery codes %q", recovery)
	}
	b.open("/")
	b.logOut(out)

	b.begin("ann", admitPassword, "/login/code")
	b.accessible("the page that asks for a code")
	b.enterCode("000000", wrong)
	b.enterCode(code(30*time.Second), in) // that of now may be the one that set it up, which counts no more
	b.logOut(out)
	b.begin("ann", admitPassword, "/login/code")
	b.enterCode(recovery[0], in)
	b.logOut(out)
	b.begin("ann", admitPassword, "/login/code")
	b.enterCode(recovery[0], wrong)
	b.enterCode(recovery[1], in)

	once, errs, exit := command(t, c.cmd.Env, "user", "reset-password", "ann", "--offline", "--remove-second-factor")
	if exit != 0 || len(strings.TrimSpace(once)) != 20 {
		t.Fatalf("reset: code %d: %s %s", exit, once, errs)
	}
	b.waitFor("the page notices that its session has ended", out)
	b.begin("ann", strings.TrimSpace(once), "/account/password")
	b.fill("[name=current]", strings.TrimSpace(once))
	b.fill("[name=password]", "another few words in a row")
	b.fill("[name=again]", "another few words in a row")
	b.click("[data-action=change-password]")
	b.waitFor("ann goes on", in)
	b.open("/admin/audit?subject=user:ann")
	if got := b.text("main"); !strings.Contains(got, "the console's machine") {
		t.Errorf("the audit log says %q", got)
	}
	c.checked()
}

// TestTheCommandLineIsSignedInByTheBrowser signs the command line in by a code, uses it, and takes its token away.
func TestTheCommandLineIsSignedInByTheBrowser(t *testing.T) {
	t.Parallel()
	c, b := newTeam(t)
	env := []string{"COTRAIN_ADDR=http://" + c.addr, "XDG_CONFIG_HOME=" + t.TempDir()}
	login := spawn(t, env, func([]byte) {}, "login", "--no-browser", "--name", "anvil")
	var shown []string
	shows := regexp.MustCompile(`enter the code ([A-Z]{4}-[A-Z]{4})`)
	c.eventually("the command line shows a code", func() bool { shown = shows.FindStringSubmatch(login.output()); return shown != nil })

	b.open("/device")
	b.accessible("the page that asks for a program's code")
	b.fill("[name=code]", strings.ToLower(shown[1]))
	b.click("[data-action=find-device]")
	b.waitFor("the page says who asks", `document.querySelector("[data-machine]")?.textContent === "anvil"`)
	b.accessible("the page of a program that asks")
	b.click("[data-action=approve-device]")
	b.waitFor("it is approved", `document.querySelector("[data-notice]")`)
	<-login.done
	if _ = login.cmd.Wait(); login.cmd.ProcessState.ExitCode() != 0 { // ProcessState has the code
		t.Fatalf("login: %s", login.output())
	}

	if out, errs, exit := command(t, env, "whoami"); exit != 0 || !strings.Contains(out, "ann") {
		t.Errorf("whoami: code %d: %s %s", exit, out, errs)
	}
	out, errs, exit := command(t, env, append([]string{"run", "submit", "--format", "json"}, shortRun("by the command line")...)...)
	if exit != 0 {
		t.Fatalf("submit: code %d: %s %s", exit, out, errs)
	}
	if out, errs, exit := command(t, env, "run", "list"); exit != 0 || !strings.Contains(out, "by the command line") {
		t.Errorf("list: code %d: %s %s", exit, out, errs)
	}

	b.open("/account")
	b.waitFor("the account has the token", `document.querySelector("[data-token]")?.textContent.includes("anvil")`)
	b.click("[data-token] [data-action=revoke]")
	b.waitFor("the page asks", `location.pathname.endsWith("/revoke")`)
	b.click("[data-confirm-form] button")
	b.waitFor("it is revoked", `location.pathname === "/account" && document.querySelector("[data-token]") === null`)
	if _, errs, exit := command(t, env, "run", "list"); exit != 4 || !strings.Contains(errs, "not valid") {
		t.Errorf("with a revoked token: code %d: %s", exit, errs)
	}
}
