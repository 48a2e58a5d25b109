package auth_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/auth/passkey/passkeytest"
	"github.com/cotrain/cotrain/internal/fault"
)

const origin = "http://localhost:8080"

// page is a request of a page at origin, with cookies.
func (c *console) page(cookies ...*http.Cookie) *http.Request {
	c.t.Helper()
	r := c.request("192.0.2.1", cookies...)
	r.Host = "localhost:8080"
	ctx, err := c.Identify(r)
	must(c.t, err)
	return r.WithContext(ctx)
}

// added makes a passkey of who is signed in, in a browser at origin.
func (c *console) added(name string, cookies ...*http.Cookie) *passkeytest.Device {
	c.t.Helper()
	d := passkeytest.New(c.t, origin)
	options, err := c.BeginPasskey(c.page(cookies...), name, good)
	must(c.t, err)
	must(c.t, c.AddPasskey(c.page(cookies...), name, d.Make(options)))
	return d
}

// asked is what a browser gets to sign in with a passkey: options and the cookies that it has then.
func (c *console) asked(cookies ...*http.Cookie) (any, []*http.Cookie) {
	c.t.Helper()
	w := httptest.NewRecorder()
	options, err := c.BeginPasskeyLogIn(w, c.page(cookies...))
	must(c.t, err)
	set := w.Result().Cookies()
	kept := slices.DeleteFunc(slices.Clone(cookies), func(k *http.Cookie) bool { return k.Name == set[0].Name })
	return options, append(kept, set...)
}

func (c *console) answer(answer string, cookies ...*http.Cookie) ([]*http.Cookie, error) {
	c.t.Helper()
	w := httptest.NewRecorder()
	err := c.LogInPasskey(w, c.page(cookies...), answer)
	return w.Result().Cookies(), err
}

// sign signs in with a device.
func (c *console) sign(d *passkeytest.Device, cookies ...*http.Cookie) ([]*http.Cookie, error) {
	c.t.Helper()
	options, cookies := c.asked(cookies...)
	return c.answer(d.Use(options), cookies...)
}

// entries returns the newest entries of the audit log, of one action.
func (c *console) entries(action string) []audit.Row {
	c.t.Helper()
	p, err := c.store.Audit.Search(c.t.Context(), audit.Filter{AllProjects: true, Action: action, Limit: 100})
	must(c.t, err)
	return p.Rows
}

func TestAPasskeyAloneSignsIn(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	session := c.mustLogIn("bob")
	d := c.added(" laptop ", session...)
	c.pass(time.Minute)
	options, cookies := c.asked()
	if o := d.Read(options); o.RpID != "localhost" || o.UserVerification != "required" || len(o.AllowCredentials) != 0 || len(o.Challenge) < 22 {
		t.Errorf("options %+v", o)
	}
	got, err := c.answer(d.Use(options), cookies...)
	must(t, err)
	k := named(t, got, auth.SessionCookie)
	if !k.HttpOnly || k.MaxAge != int(auth.SessionLifetime/time.Second) {
		t.Errorf("cookie %+v", k)
	}
	if who := access.From(c.as(k)); who.Name != "bob" || who.First == access.NewFactor {
		t.Errorf("signed in as %+v", who)
	}
	all, err := c.Passkeys(c.as(k))
	must(t, err)
	if len(all) != 1 || all[0].Name != "laptop" || !all[0].UsedAt.Equal(c.clock()) || all[0].Syncs || all[0].Domain != "localhost" {
		t.Errorf("passkeys %+v", all)
	}
	if rows := c.entries("login"); rows[0].Actor.Name != "bob" || rows[0].Outcome != audit.Done || !strings.Contains(string(rows[0].After), `"passkey"`) {
		t.Errorf("the audit log says %+v", rows[0])
	}
	if rows := c.entries("passkey.add"); len(rows) != 1 || rows[0].Subject != "user:bob" || !strings.Contains(string(rows[0].After), `"laptop"`) {
		t.Errorf("the audit log says %+v", rows)
	}
	// The browser is known, as after a password.
	device := named(t, got, auth.DeviceCookie)
	if known, err := c.store.KnowsDevice(t.Context(), auth.KeyOf(device.Value), "u-bob"); err != nil || !known {
		t.Errorf("the device is not known: %v", err)
	}
	// A log-in ends the session before it.
	again, err := c.sign(d, k)
	must(t, err)
	if access.From(c.as(k)).Known() || !access.From(c.as(named(t, again, auth.SessionCookie))).Known() {
		t.Error("the session before is still there")
	}
}

func TestWhatIsNoPasskey(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	session := c.mustLogIn("bob")
	for what, wrong := range map[string]func(*passkeytest.Device){
		"another origin":             func(d *passkeytest.Device) { d.Origin = "http://evil.example" },
		"another port":               func(d *passkeytest.Device) { d.Origin = "http://localhost:9090" },
		"another domain":             func(d *passkeytest.Device) { d.Domain = "evil.example" },
		"nobody was there":           func(d *passkeytest.Device) { d.Flags = passkeytest.Verified },
		"nobody was asked who it is": func(d *passkeytest.Device) { d.Flags = passkeytest.Present },
		"a copy of what has no copy": func(d *passkeytest.Device) { d.Flags |= passkeytest.Synced },
	} {
		d := passkeytest.New(t, origin)
		wrong(d)
		options, err := c.BeginPasskey(c.page(session...), "x", good)
		must(t, err)
		wants(t, fault.ErrConflict, c.AddPasskey(c.page(session...), "x", d.Make(options)))
		d = c.added(what, session...)
		wrong(d)
		if _, err = c.sign(d); !errors.Is(err, fault.ErrSignedOut) {
			t.Errorf("%s: %v", what, err)
		}
	}
	d := c.added("hers", session...)
	d.Handle = "u-ann"
	_, err := c.sign(d)
	wants(t, fault.ErrSignedOut, err)
	d.Handle = "u-bob"
	_, err = c.sign(d)
	must(t, err)
	if all, err := c.Passkeys(c.as(session...)); err != nil || len(all) != 7 {
		t.Errorf("%d passkeys, %v", len(all), err)
	}
	if rows := c.entries("login"); rows[1].Outcome != audit.Refused || rows[1].Actor.Name != "bob" || !strings.Contains(rows[1].Reason, "not valid") {
		t.Errorf("the audit log says %+v", rows[1])
	}
}

func TestAChallengeCountsOnceForItsPurposeAndSoon(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	session := c.mustLogIn("bob")
	d := c.added("laptop", session...)
	adding, err := c.BeginPasskey(c.page(session...), "x", good)
	must(t, err)
	use, cookies := c.asked()
	stale := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(fault.Of(err).What, "did not begin in this browser") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = c.answer(d.Use(use))
	stale("without the cookie", err)
	_, other := c.asked()
	_, err = c.answer(d.Use(use), other...)
	stale("in another browser", err)
	_, err = c.answer(d.Use(adding), cookies...)
	stale("a challenge for adding", err)
	_, err = c.answer(d.Use(map[string]string{"rpId": "localhost", "challenge": strings.Repeat("A", 75)}), cookies...)
	stale("a challenge of the client's", err)
	fresh := passkeytest.New(t, origin)
	stale("in another session", c.AddPasskey(c.page(c.mustLogIn("bob")...), "x", fresh.Make(adding)))
	stale("somebody else's", c.AddPasskey(c.page(c.mustLogIn("ann")...), "x", fresh.Make(adding)))
	answer, made := d.Use(use), fresh.Make(adding)
	_, err = c.answer(answer, cookies...)
	must(t, err)
	_, err = c.answer(answer, cookies...)
	stale("twice", err)
	must(t, c.AddPasskey(c.page(session...), "x", made))
	stale("added twice", c.AddPasskey(c.page(session...), "x", made))

	use, cookies = c.asked()
	adding, err = c.BeginPasskey(c.page(session...), "x", good)
	must(t, err)
	c.pass(5*time.Minute - time.Millisecond)
	_, tab := c.asked(cookies...) // a second tab does not disturb the first
	if len(tab) != 1 || tab[0].Value != cookies[0].Value {
		t.Errorf("cookies %v", tab)
	}
	_, err = c.answer(d.Use(use), cookies...)
	must(t, err)
	use, cookies = c.asked()
	c.pass(5 * time.Minute)
	_, err = c.answer(d.Use(use), cookies...)
	stale("late", err)
	stale("added late", c.AddPasskey(c.page(session...), "x", passkeytest.New(t, origin).Make(adding)))
	c.Service = c.again(auth.Options{})
	use, cookies = c.asked()
	c.Service = c.again(auth.Options{})
	_, err = c.answer(d.Use(use), cookies...)
	stale("of an earlier start", err)
}

func TestADeviceThatCountsBackwardsMayBeACopy(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	d := passkeytest.New(t, origin)
	d.Uses, d.Flags = 7, d.Flags|passkeytest.Syncs
	session := c.mustLogIn("bob")
	options, err := c.BeginPasskey(c.page(session...), "key", good)
	must(t, err)
	must(t, c.AddPasskey(c.page(session...), "key", d.Make(options)))
	d.Uses, d.Flags = 8, d.Flags|passkeytest.Synced
	_, err = c.sign(d)
	must(t, err)
	for _, uses := range []uint32{8, 3, 0} {
		d.Uses = uses
		if _, err := c.sign(d); err == nil || !errors.Is(err, fault.ErrSignedOut) || !strings.Contains(fault.Of(err).What, "cloned") {
			t.Errorf("after 8, %d: %v", uses, err)
		}
	}
	if rows := c.entries("login"); rows[0].Actor.Name != "bob" || rows[0].Outcome != audit.Refused || !strings.Contains(rows[0].Reason, "cloned") {
		t.Errorf("the audit log says %+v", rows[0])
	}
	d.Uses = 9
	_, err = c.sign(d)
	must(t, err)
	if all, err := c.Passkeys(c.as(session...)); err != nil || !all[0].Syncs || !all[0].Synced || all[0].Uses != 9 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhoDoesNotSignInWithAPasskey(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ann, bob := c.as(c.mustLogIn("ann")...), c.mustLogIn("bob")
	d, removed := c.added("laptop", bob...), c.added("old", bob...)
	unknown := passkeytest.New(t, origin)
	unknown.Handle = "u-bob"
	_, err := c.sign(unknown)
	if err == nil || !strings.Contains(err.Error(), "does not know") {
		t.Errorf("one that was never added: %v", err)
	}
	all, err := c.Passkeys(c.as(bob...))
	must(t, err)
	id := all[0].ID
	if all[0].Name != "old" {
		id = all[1].ID
	}
	wants(t, fault.ErrNotFound, c.RemovePasskey(c.as(c.mustLogIn("ann")...), id, good))
	wants(t, fault.ErrNotFound, c.RenamePasskey(ann, id, "hers"))
	wants(t, fault.ErrInvalid, c.RemovePasskey(c.as(bob...), id, "wrong"))
	wants(t, fault.ErrInvalid, c.RenamePasskey(c.as(bob...), id, " \t"))
	must(t, c.RenamePasskey(c.as(bob...), id, "older"))
	began, err := c.sign(removed)
	must(t, err)
	must(t, c.RemovePasskey(c.as(bob...), id, good))
	if access.From(c.as(named(t, began, auth.SessionCookie))).Known() {
		t.Error("what the passkey has begun goes on")
	}
	_, err = c.sign(removed)
	wants(t, fault.ErrSignedOut, err)

	_, err = c.ChangeUser(ann, "bob", func(u *access.User) { u.Disabled = true })
	must(t, err)
	if _, err = c.sign(d); err == nil || !errors.Is(err, fault.ErrSignedOut) || !strings.Contains(fault.Of(err).What, "account") {
		t.Errorf("disabled: %v", err)
	}
	if rows := c.entries("login"); rows[0].Actor.Name != "bob" || rows[0].Outcome != audit.Refused {
		t.Errorf("the audit log says %+v", rows[0])
	}
	_, err = c.ChangeUser(ann, "bob", func(u *access.User) { u.Disabled = false })
	must(t, err)
	_, err = c.sign(d)
	must(t, err)
	must(t, c.store.CreateUser(t.Context(), access.User{ID: "u-robot", Name: "robot", Kind: access.Service}, ""))
	must(t, c.store.CreateUser(t.Context(), access.User{ID: "u-eve", Name: "eve", Kind: access.Person}, "")) // by a provider
	must(t, auth.Follow(c.Service, t.Context()))
	moved, err := c.store.Passkeys(t.Context(), "u-bob")
	must(t, err)
	must(t, c.store.RemoveFactors(t.Context(), "u-bob"))
	for _, user := range []access.UserID{"u-robot", "u-eve"} {
		moved[0].User = user
		must(t, c.store.AddPasskey(t.Context(), moved[0], ""))
		d.Handle = string(user)
		_, err = c.sign(d)
		wants(t, fault.ErrSignedOut, err)
		must(t, c.store.RemoveFactors(t.Context(), user))
	}
	d = c.added("again", c.mustLogIn("bob")...)
	must(t, c.DeleteUser(ann, "bob"))
	_, err = c.sign(d)
	wants(t, fault.ErrSignedOut, err)
}

func TestPasskeysAreLimited(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	d := c.added("laptop", bob...)
	unknown := passkeytest.New(t, origin)
	for range auth.PerNetwork {
		_, err := c.sign(unknown)
		wants(t, fault.ErrSignedOut, err)
	}
	before := len(c.entries("login"))
	_, err := c.sign(d)
	wants(t, fault.ErrRateLimited, err)
	if len(c.entries("login")) != before {
		t.Error("what the lock-out refuses is in the audit log")
	}
	_, err = c.sign(d, named(t, bob, auth.DeviceCookie))
	must(t, err) // a browser that is known
	for range 19 {
		c.added("more", bob...)
	}
	options, err := c.BeginPasskey(c.page(bob...), "x", good)
	must(t, err)
	wants(t, fault.ErrConflict, c.AddPasskey(c.page(bob...), "x", passkeytest.New(t, origin).Make(options)))
	if o := d.Read(options); len(o.ExcludeCredentials) != 20 {
		t.Errorf("%d passkeys are excluded", len(o.ExcludeCredentials))
	}
}

func TestAddingAPasskeyNeedsAProofInABrowser(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	for _, proof := range []string{"", "wrong"} {
		_, err := c.BeginPasskey(c.page(bob...), "x", proof)
		wants(t, fault.ErrInvalid, err)
	}
	for _, name := range []string{"", "  ", strings.Repeat("x", 81), "a\x00b", "\xff"} {
		_, err := c.BeginPasskey(c.page(bob...), name, good)
		wants(t, fault.ErrInvalid, err)
	}
	options, err := c.BeginPasskey(c.page(bob...), "Bob's phone", good)
	must(t, err)
	d := passkeytest.New(t, origin)
	if o := d.Read(options); o.AuthenticatorSelection.ResidentKey != "required" || o.AuthenticatorSelection.UserVerification != "required" || o.Attestation != "none" || o.Rp.ID != "localhost" {
		t.Errorf("options %+v", o)
	}
	answer := d.Make(options)
	wants(t, fault.ErrInvalid, c.AddPasskey(c.page(bob...), "", answer))
	_, token := c.token(c.as(bob...), access.Token{Name: "x", Scopes: []access.Scope{access.ScopeAll}})
	r := c.page()
	r.Header.Set("Authorization", "Bearer "+token)
	ctx, err := c.Identify(r)
	must(t, err)
	r = r.WithContext(ctx)
	_, err = c.BeginPasskey(r, "x", good)
	wants(t, fault.ErrForbidden, err)
	wants(t, fault.ErrForbidden, c.AddPasskey(r, "x", answer))
	wants(t, fault.ErrForbidden, c.RenamePasskey(ctx, "x", "y"))
	wants(t, fault.ErrForbidden, c.RemovePasskey(ctx, "x", good))
	must(t, c.AddPasskey(c.page(bob...), "Bob's phone", answer))
	secret, _ := c.enrolled(c.as(bob...))
	c.pass(time.Minute)
	_, err = c.BeginPasskey(c.page(bob...), "x", c.codeAt(secret, 0))
	must(t, err)
}

func TestMalformedAnswersAreRefused(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	d := c.added("laptop", bob...)
	use, cookies := c.asked()
	adding, err := c.BeginPasskey(c.page(bob...), "x", good)
	must(t, err)
	valid, made := d.Use(use), passkeytest.New(t, origin).Make(adding)
	with := func(text string, path ...string) string {
		var a map[string]any
		must(t, json.Unmarshal([]byte(text), &a))
		in := a
		for _, p := range path[:len(path)-2] {
			in = in[p].(map[string]any) //nolint:forcetypeassert // it is one
		}
		in[path[len(path)-2]] = path[len(path)-1]
		b, err := json.Marshal(a)
		must(t, err)
		return string(b)
	}
	for what, broken := range map[string][2]string{
		"nothing":            {"", ""},
		"no JSON":            {"{", "{"},
		"another JSON":       {"[]", `"x"`},
		"an empty object":    {"{}", "{}"},
		"far too long":       {valid[:len(valid)-1] + `,"x":"` + strings.Repeat("A", 1<<20) + `"}`, made[:len(made)-1] + `,"x":"` + strings.Repeat("A", 1<<20) + `"}`},
		"deeply nested":      {strings.Repeat("[", 30_000), strings.Repeat(`{"a":`, 5_000)},
		"cut":                {valid[:len(valid)/2], made[:len(made)/2]},
		"the other answer":   {made, valid},
		"another type":       {with(valid, "type", "password"), with(made, "type", "password")},
		"an ID without form": {with(valid, "id", "%%%"), with(made, "id", "%%%")},
		"two IDs":            {with(valid, "rawId", "AAAA"), with(made, "rawId", "AAAA")},
		"no client data":     {with(valid, "response", "clientDataJSON", ""), with(made, "response", "clientDataJSON", "")},
		"bad client data":    {with(valid, "response", "clientDataJSON", "e30"), with(made, "response", "clientDataJSON", "e30")},
		"no device data":     {with(valid, "response", "authenticatorData", ""), with(made, "response", "attestationObject", "")},
		"short device data":  {with(valid, "response", "authenticatorData", "AAAA"), with(made, "response", "attestationObject", "o2NmbXRkbm9uZQ")},
		"no signature":       {with(valid, "response", "signature", ""), with(made, "response", "attestationObject", "oA")},
		"a wrong signature":  {with(valid, "response", "signature", "MAYCAQECAQE"), with(made, "response", "attestationObject", "v2NmbXT_")},
		"nobody's":           {with(valid, "response", "userHandle", ""), "null"},
		"somebody else's":    {with(valid, "response", "userHandle", "dS1hbm4"), "0"},
	} {
		if _, err := c.answer(broken[0], cookies...); err == nil || fault.Of(err).Kind != fault.ErrSignedOut {
			t.Errorf("%s signs in: %v", what, err)
		}
		if err := c.AddPasskey(c.page(bob...), "x", broken[1]); err == nil || fault.Of(err).Kind != fault.ErrConflict {
			t.Errorf("%s is added: %v", what, err)
		}
	}
	_, err = c.answer(valid, append(cookies, named(t, bob, auth.DeviceCookie))...)
	must(t, err) // what was refused has not used the challenge up
	must(t, c.AddPasskey(c.page(bob...), "x", made))
}

func TestAPasskeyIsASecondFactor(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	c.enrolled(c.as(bob...))
	d, hers := c.added("laptop", bob...), c.added("laptop", c.mustLogIn("ann")...)
	pending := c.password("bob")
	if code, passkey, err := c.PendingLogIn(c.page(pending...)); err != nil || !code || !passkey {
		t.Errorf("code %v, passkey %v, %v", code, passkey, err)
	}
	options, cookies := c.asked(pending...)
	if o := d.Read(options); len(o.AllowCredentials) != 1 {
		t.Errorf("options %+v", o)
	}
	got, err := c.answer(d.Use(options), cookies...)
	must(t, err)
	if access.From(c.as(named(t, got, auth.SessionCookie))).Name != "bob" {
		t.Error("bob is not signed in")
	}
	if _, _, err := c.PendingLogIn(c.page(pending...)); !errors.Is(err, auth.ErrPending) {
		t.Errorf("the password serves twice: %v", err)
	}
	_, err = c.sign(hers)
	must(t, err)
	must(t, c.RemoveUserFactor(c.as(c.mustLogIn("ann")...), "bob"))
	if access.From(c.as(named(t, got, auth.SessionCookie))).Known() {
		t.Error("what the passkey has begun goes on")
	}
	_, err = c.sign(d)
	wants(t, fault.ErrSignedOut, err)
	c.mustLogIn("bob")
}

func TestAPasskeyWillDoWhereASecondFactorIsNeeded(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.Service = c.again(auth.Options{RequireSecondFactor: auth.RequireEverybody})
	bob := c.mustLogIn("bob")
	if access.From(c.as(bob...)).First == nil {
		t.Fatal("bob needs none")
	}
	d := c.added("laptop", bob...)
	if access.From(c.as(bob...)).First != nil {
		t.Error("a passkey that was just made is no second factor")
	}
	pending := c.password("bob")
	if code, passkey, err := c.PendingLogIn(c.page(pending...)); err != nil || code || !passkey {
		t.Errorf("code %v, passkey %v, %v", code, passkey, err)
	}
	if _, err := c.enterCode("000000", pending...); !errors.Is(err, auth.ErrCode) {
		t.Errorf("a code: %v", err)
	}
	got, err := c.sign(d, pending...)
	must(t, err)
	signedIn := named(t, got, auth.SessionCookie)
	if who := access.From(c.as(signedIn)); who.Name != "bob" || who.First == access.NewFactor {
		t.Errorf("%+v", who)
	}
	all, err := c.Passkeys(c.as(signedIn))
	must(t, err)
	must(t, c.RemovePasskey(c.as(signedIn), all[0].ID, good))
	if who := access.From(c.as(signedIn)); who.Name != "bob" || who.First == nil {
		t.Errorf("without its passkey: %+v", who)
	}
	// One for an address that the console had before is none.
	c.added("laptop", c.mustLogIn("bob")...)
	c.Service = c.again(auth.Options{RequireSecondFactor: auth.RequireEverybody, Public: &url.URL{Scheme: "https", Host: "cotrain.example.com"}})
	if access.From(c.as(c.mustLogIn("bob")...)).First == nil {
		t.Error("bob has a second factor")
	}
}

func TestWherePasskeysWork(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	bob := c.mustLogIn("bob")
	for _, test := range []struct{ public, host, problem string }{
		{"", "localhost:8080", ""},
		{"", "LOCALHOST", ""},
		{"", "127.0.0.1:8080", "Open http://localhost:8080 for them"},
		{"", "[::1]:8080", "Open http://localhost:8080 for them"},
		{"https://cotrain.example.com", "cotrain.example.com", ""},
		{"https://cotrain.example.com:8443/below", "CoTrain.example.com:8443", ""},
		{"https://cotrain.example.com/below", "localhost:8080", "Open https://cotrain.example.com/below for them"},
		{"https://10.0.0.5", "10.0.0.5", "IP address"},
		{"https://[fd00::5]", "[fd00::5]", "IP address"},
		{"http://cotrain.example.com", "cotrain.example.com", "need HTTPS"},
	} {
		o := auth.Options{}
		if test.public != "" {
			u, err := url.Parse(test.public)
			must(t, err)
			o.Public = u
		}
		c.Service = c.again(o)
		r := c.request("192.0.2.1", bob...)
		r.Host = test.host
		ctx, err := c.Identify(r)
		must(t, err)
		r = r.WithContext(ctx)
		got := c.PasskeyProblem(r)
		if (got == "") != (test.problem == "") || !strings.Contains(got, test.problem) {
			t.Errorf("%s at %s: %q", test.host, test.public, got)
		}
		_, err = c.BeginPasskeyLogIn(httptest.NewRecorder(), r)
		if (err == nil) != (test.problem == "") {
			t.Errorf("%s at %s: %v", test.host, test.public, err)
		}
	}
	c.Service = c.again(auth.Options{NoPasswords: true})
	if got := c.PasskeyProblem(c.page(bob...)); !strings.Contains(got, "log-in provider only") {
		t.Errorf("without passwords: %q", got)
	}
}
