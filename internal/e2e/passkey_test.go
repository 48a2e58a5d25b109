package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// passkeys gives the browser a device that makes passkeys, and always finds its owner there.
func (b *browser) passkeys() webauthn.AuthenticatorID {
	b.t.Helper()
	call(b, webauthn.Enable, webauthn.EnableParams{})
	return call(b, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true, DefaultBackupEligibility: true, DefaultBackupState: true,
	}}).AuthenticatorID
}

// TestAPasskeyFromItsFirstDayToItsLast adds a passkey in a browser, signs in with it, from the button and from the field of the
// name, and removes it: at the root of a host, and below a path.
func TestAPasskeyFromItsFirstDayToItsLast(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("chromium is not installed (apt-get install chromium)")
	}
	for _, below := range []string{"", "/cotrain"} {
		t.Run("at "+below+"/", func(t *testing.T) {
			t.Parallel()
			front, env := newProxy(t, ""), []string{"COTRAIN_LISTEN=" + anyPort, "COTRAIN_DATA_DIR=" + filepath.Join(t.TempDir(), "console"), "NOMAD_ADDR=http://127.0.0.1:1"}
			at := strings.Replace(front.addr(), "127.0.0.1", "localhost", 1) + below
			if below != "" {
				env = append(env, "COTRAIN_PUBLIC_URL=http://"+at)
			}
			c := start(t, env, "server")
			front.target, c.addr = c.addr, at
			b := openBrowser(t, c)
			var code []string
			c.eventually("the log has the link", func() bool { code = setUpCode.FindStringSubmatch(c.output()); return code != nil })
			b.open("/setup?code=" + code[1])
			b.fill("[name=name]", "ann")
			b.fill("[name=password]", admitPassword)
			b.fill("[name=again]", admitPassword)
			b.click("[data-action=setup]")
			home := `location.pathname === "` + below + `/"`
			b.waitFor("ann is signed in", home)

			device := b.passkeys()
			b.open("/account")
			b.click("[data-passkey-form] summary")
			b.fill("[name=proof]", "wrong")
			b.click("[data-action=add-passkey]")
			b.waitFor("a wrong password is refused beside the button", `document.querySelector("[data-passkey-problem]").innerText.includes("neither your password")`)
			b.accessible("the form for a passkey")
			b.fill("[name=passkey]", "Ann's key")
			b.fill("[name=proof]", admitPassword)
			b.click("[data-action=add-passkey]")
			b.waitFor("the passkey is listed", `location.search === "?done=passkey-added" && document.querySelector("[data-passkey-id]").innerText.includes("Ann's key")`)
			if got := b.text("[data-passkey-id]"); !strings.Contains(got, "synced") || !strings.Contains(got, "never") {
				t.Errorf("the list says %q", got)
			}
			b.accessible("the account with a passkey")
			b.click("[data-passkey-form] summary")
			b.fill("[name=proof]", admitPassword)
			b.click("[data-action=add-passkey]")
			b.waitFor("a device makes one passkey only", `document.querySelector("[data-passkey-problem]").innerText.includes("already")`)

			b.leave()
			b.waitFor("the browser offers the passkey, and its owner takes it", `!window.left && location.pathname === "`+below+`/account"`)
			if got := b.text("[data-passkey-id]"); strings.Contains(got, "never") {
				t.Errorf("after it was used the list says %q", got)
			}

			b.open("/account/factor")
			code6, err := totp.GenerateCode(strings.ReplaceAll(b.text("#factor-secret"), " ", ""), time.Now())
			if err != nil {
				t.Fatal(err)
			}
			b.fill("[name=code]", code6)
			b.click("[data-action=confirm-factor]")
			b.waitFor("the app counts", `document.querySelector("#recovery-codes") !== null`)
			call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: device, Enabled: false})
			b.leave()
			b.waitFor("ann is signed out", `location.pathname === "`+below+`/login"`)
			b.accessible("the log-in with passkeys")
			b.fill("[name=name]", "ann")
			b.fill("[name=password]", admitPassword)
			b.click("[data-action=login]")
			b.waitFor("a code is asked for", `location.pathname === "`+below+`/login/code"`)
			b.accessible("the second factor")
			call(b, webauthn.SetAutomaticPresenceSimulation, webauthn.SetAutomaticPresenceSimulationParams{AuthenticatorID: device, Enabled: true})
			call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device, IsUserVerified: false})
			b.click("[data-action=login-passkey]")
			b.waitFor("a device with somebody else is refused in words", `document.querySelector("[data-passkey-problem]").innerText.includes("cancelled")`)
			call(b, webauthn.SetUserVerified, webauthn.SetUserVerifiedParams{AuthenticatorID: device, IsUserVerified: true})
			b.click("[data-action=login-passkey]")
			b.waitFor("a passkey does for the code", `location.pathname === "`+below+`/account"`)
			b.click("[data-action=passkey]")
			b.waitFor("the passkey's page", `document.querySelector("[data-action=remove-passkey]") !== null`)
			b.accessible("a passkey")
			b.fill("[name=passkey]", "Old key")
			b.click("[data-action=rename-passkey]")
			b.waitFor("it has another name", `document.querySelector("[data-passkey-id]")?.innerText.includes("Old key")`)
			b.click("[data-action=passkey]")
			b.fill("[name=proof]", admitPassword)
			b.click("[data-action=remove-passkey]")
			b.waitFor("it is gone", `location.search === "?done=passkey-removed" && document.querySelector("[data-passkey-id]") === null`)
		})
	}
}

// leave signs out as another tab would: the account's page goes to the log-in, and from there back.
func (b *browser) leave() {
	b.t.Helper()
	b.open("/account")
	b.do("sign out", script(`window.left = true; void fetch(document.querySelector("form[action$='/logout']").action, {method: "POST"})`))
}

func call[P, R any](b *browser, command cdp.Command[P, R], params P) R {
	b.t.Helper()
	out, err := chromedp.Call(b.ctx, command, params)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}
