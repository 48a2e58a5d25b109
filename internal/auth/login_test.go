package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

func TestWhatIsWrongIsNotTold(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	must(t, c.store.CreateUser(t.Context(), access.User{ID: "u-robot", Name: "robot", Kind: access.Service}, ""))
	must(t, auth.Follow(c.Service, t.Context()))
	for _, try := range [][2]string{
		{"bob", "wrong password 1"}, {"bob", ""}, {"bob", good + " "}, {"bob", strings.ToUpper(good)}, {"nobody", good}, {"", good}, {"", ""},
		{"robot", ""}, {"robot", good}, {"bob", strings.Repeat("x", 64<<10)}, {"b\x00b", good}, {"bоb", good}, // with a Cyrillic o
	} {
		cookies, err := c.logIn(try[0], try[1], "192.0.2.1")
		if !errors.Is(err, auth.ErrWrong) || len(cookies) != 0 {
			t.Errorf("%.20q %.20q: %v, cookies %v", try[0], try[1], err, cookies)
		}
	}
	if text := c.log.String(); strings.Contains(text, good) || strings.Contains(text, "nobody") || strings.Contains(text, "wrong password") {
		t.Errorf("the log has what was typed:\n%s", text)
	}
}

func TestAnUnknownNameCostsAsMuchAsAKnownOne(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.Hash(argon2id.Params{})
	c.mustLogIn("bob") // renews the hash
	var checked []string
	c.WrapCheck(func(check func(string, string) (bool, *argon2id.Params, error)) func(string, string) (bool, *argon2id.Params, error) {
		return func(password, hash string) (bool, *argon2id.Params, error) {
			_, cost, _ := strings.Cut(hash, "m=")
			cost, _, _ = strings.Cut(cost, "$")
			checked = append(checked, cost)
			return check(password, hash)
		}
	})
	for _, name := range []string{"bob", "nobody"} {
		_, err := c.logIn(name, "wrong password 1", "192.0.2.1")
		wants(t, fault.ErrSignedOut, err)
	}
	if len(checked) != 2 || checked[0] != checked[1] || checked[0] == "" {
		t.Errorf("checked %q", checked)
	}
}

func TestAPasswordIsTheSameHoweverItsLettersAreComposed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	const composed, apart = "caf\u00e9 au lait \u00e0 neuf", "cafe\u0301 au lait a\u0300 neuf"
	must(t, c.ChangePassword(c.as(c.mustLogIn("bob")...), good, composed))
	if _, err := c.logIn("bob", apart, "192.0.2.1"); err != nil {
		t.Error(err)
	}
}

func TestAWeakerHashIsRenewedAtLogIn(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.Hash(argon2id.Params{})
	weak, err := argon2id.CreateHash(good, &argon2id.Params{Memory: 1024, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	must(t, err)
	must(t, c.store.SetPassword(t.Context(), "u-bob", weak, false, ""))
	for range 2 {
		if !access.From(c.as(c.mustLogIn("bob")...)).Known() {
			t.Fatal("no session")
		}
		hash, err := c.store.Password(t.Context(), "u-bob")
		if err != nil || !strings.Contains(hash, "$m=47104,t=1,p=1$") {
			t.Errorf("%q, %v", hash, err)
		}
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"elevenchars":                                "fewer than 12",
		"twelve chars":                               "",
		strings.Repeat("é", 11):                      "fewer than 12",
		strings.Repeat("abcdé", 51) + "f":            "",
		strings.Repeat("abcdé", 51) + "fg":           "more than 256",
		"aaaabbbbccccdddd":                           "different characters",
		"Password1234":                               "most common",
		"annannannannann":                            "different characters",
		"longlogin@example.org":                      "login name",
		"LongLogin@Example.org":                      "login name",
		"longlogin@example.orglonglogin@example.org": "login name",
		"\xff\xfe plenty of bytes":                   "not text",
		good:                                         "",
	} {
		errs := auth.CheckPassword("password", "longlogin@example.org", password)
		if (len(errs) == 0) != (want == "") || want != "" && !strings.Contains(errs.Error(), want) {
			t.Errorf("%.40q: %v, want %q", password, errs, want)
		}
		if len(errs) > 0 && strings.Contains(errs.Error(), password) {
			t.Errorf("%v tells the password", errs)
		}
	}
	known := map[string]bool{}
	for _, p := range auth.Common {
		if known[p] || p != strings.ToLower(p) || utf8.RuneCountInString(p) < auth.MinPassword {
			t.Errorf("common password %q is twice, too short, or not in lower case", p)
		}
		known[p] = true
	}
}

// fail fails to sign in n times and returns the last error.
func (c *console) fail(n int, name, address string, cookies ...*http.Cookie) (err error) {
	c.t.Helper()
	for range n {
		_, err = c.logIn(name, "wrong password 1", address, cookies...)
	}
	return err
}

// quick makes checks of passwords fast: only good is one.
func (c *console) quick() {
	c.WrapCheck(func(func(string, string) (bool, *argon2id.Params, error)) func(string, string) (bool, *argon2id.Params, error) {
		return func(password, _ string) (bool, *argon2id.Params, error) {
			return password == good, &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}, nil
		}
	})
}

func TestStrangersFailuresDoNotKeepAKnownBrowserOut(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.quick()
	device := named(t, c.mustLogIn("bob"), auth.DeviceCookie)
	wants(t, fault.ErrSignedOut, c.fail(auth.PerDevice, "bob", "198.51.100.7"))
	wants(t, fault.ErrRateLimited, c.fail(1, "bob", "198.51.100.7"))
	_, err := c.logIn("bob", good, "198.51.100.7")
	wants(t, fault.ErrRateLimited, err)

	if _, err := c.logIn("bob", good, "198.51.100.7", device); err != nil {
		t.Errorf("the known browser is kept out: %v", err)
	}
	if _, err := c.logIn("bob", good, "203.0.113.1"); err != nil {
		t.Errorf("another network is kept out: %v", err)
	}
	if _, err := c.logIn("ann", good, "198.51.100.7"); err != nil {
		t.Errorf("another user is kept out: %v", err)
	}
	_, err = c.logIn("ann", good, "198.51.100.7", device) // which is bob's
	must(t, err)

	c.pass(15 * time.Minute)
	if _, err := c.logIn("bob", good, "198.51.100.7"); err != nil {
		t.Errorf("the lock-out does not end: %v", err)
	}
}

func TestAKnownBrowserGuessesNoMoreThanOthers(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.quick()
	device := named(t, c.mustLogIn("bob"), auth.DeviceCookie)
	wants(t, fault.ErrSignedOut, c.fail(auth.PerDevice, "bob", "192.0.2.1", device))
	wants(t, fault.ErrRateLimited, c.fail(1, "bob", "203.0.113.1", device))
	other := named(t, c.mustLogIn("bob"), auth.DeviceCookie) // another browser, as a stranger first
	if _, err := c.logIn("bob", good, "192.0.2.1", other); err != nil {
		t.Errorf("another browser of the user is kept out: %v", err)
	}
}

// TestANewPasswordIsNotLockedOut resets it beside the console, as cotrain user reset-password --offline does.
func TestANewPasswordIsNotLockedOut(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	device := named(t, c.mustLogIn("bob"), auth.DeviceCookie)
	wants(t, fault.ErrSignedOut, c.fail(auth.PerDevice, "bob", "192.0.2.1", device))
	wants(t, fault.ErrSignedOut, c.fail(auth.PerDevice, "bob", "192.0.2.1"))
	for _, cookies := range [][]*http.Cookie{nil, {device}} {
		_, err := c.logIn("bob", good, "192.0.2.1", cookies...)
		wants(t, fault.ErrRateLimited, err)
	}
	password, _, err := c.again(auth.Options{}).ResetPassword(access.With(t.Context(), access.Machine()), "bob", false)
	must(t, err)
	for _, cookies := range [][]*http.Cookie{nil, {device}} {
		_, err := c.logIn("bob", password, "192.0.2.1", cookies...)
		must(t, err)
		wants(t, fault.ErrSignedOut, c.fail(auth.PerDevice, "bob", "192.0.2.1", cookies...))
		wants(t, fault.ErrRateLimited, c.fail(1, "bob", "192.0.2.1", cookies...))
	}
}

func TestSprayingIsSlow(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.quick()
	tried := 0
	for i := range 200 {
		_, err := c.logIn(fmt.Sprintf("user%d", i), "winter 2026 winter", "198.51.100.7")
		if errors.Is(err, fault.ErrSignedOut) {
			tried++
		}
	}
	if tried != auth.PerNetwork {
		t.Errorf("one network tried %d names", tried)
	}
	tried = 0
	for i := range 200 {
		_, err := c.logIn("bob", "wrong password 1", fmt.Sprintf("203.0.%d.1", i))
		if errors.Is(err, fault.ErrSignedOut) {
			tried++
		}
	}
	if tried != auth.PerAccount {
		t.Errorf("%d passwords were tried from many networks", tried)
	}
	unknown := 0
	for i := range 200 {
		_, err := c.logIn("nobody", "wrong password 1", fmt.Sprintf("203.1.%d.1", i))
		if errors.Is(err, fault.ErrSignedOut) {
			unknown++
		}
	}
	if unknown != tried {
		t.Errorf("an unknown name is told from a known one: %d tries, not %d", unknown, tried)
	}
}

func TestAThousandLogInsAtOnceHashFewAtATime(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	var now, most, done atomic.Int64
	full := make(chan struct{})
	c.WrapCheck(func(func(string, string) (bool, *argon2id.Params, error)) func(string, string) (bool, *argon2id.Params, error) {
		return func(string, string) (bool, *argon2id.Params, error) {
			if n := now.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer now.Add(-1)
			<-full // until all others have been refused
			done.Add(1)
			return false, &argon2id.Params{}, nil
		}
	})
	const n = 1000
	kinds := map[fault.Kind]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, err := c.logIn(fmt.Sprintf("user%d", i), "wrong password 1", fmt.Sprintf("203.%d.%d.1", i/256, i%256))
			mu.Lock()
			defer mu.Unlock()
			kind := fault.Of(err).Kind
			kinds[kind]++
			if kind == fault.ErrBusy && kinds[kind] == n-auth.MaxHashing-auth.MaxWaiting {
				close(full)
			}
		})
	}
	all.Wait()
	if most.Load() != auth.MaxHashing || done.Load() != auth.MaxHashing+auth.MaxWaiting || kinds[fault.ErrSignedOut] != auth.MaxHashing+auth.MaxWaiting {
		t.Errorf("%d hashed at once, %d in all: %v", most.Load(), done.Load(), kinds)
	}
}

func TestThoseWhoWaitForTheirTurnGiveUpWithTheirRequest(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	release, hashing := make(chan struct{}), make(chan struct{}, auth.MaxHashing)
	c.WrapCheck(func(func(string, string) (bool, *argon2id.Params, error)) func(string, string) (bool, *argon2id.Params, error) {
		return func(string, string) (bool, *argon2id.Params, error) {
			hashing <- struct{}{}
			<-release
			return false, &argon2id.Params{}, nil
		}
	})
	var all sync.WaitGroup
	for range auth.MaxHashing {
		all.Go(func() { _ = c.fail(1, "bob", "192.0.2.1") })
		<-hashing
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := c.request("203.0.113.1")
	if err := c.LogIn(httptest.NewRecorder(), r.WithContext(ctx), "bob", good); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	all.Wait()
}

func TestTheSetUpLinkWorksOnce(t *testing.T) {
	t.Parallel()
	c := empty(t)
	code := c.code()
	if c.IsSetUp() || len(code) != 43 {
		t.Fatalf("link %q", c.SetUpLink())
	}
	for _, wrong := range []string{"", "x", code[1:] + code[:1], code + "A", strings.Repeat("A", 64<<10)} {
		if err := c.CheckSetUp(wrong); !errors.Is(err, auth.ErrSetUp) {
			t.Errorf("%.50q: %v", wrong, err)
		}
		wants(t, fault.ErrForbidden, c.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), wrong, "eve", good))
	}
	err := c.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), code, "Ann!", "short")
	var errs run.FieldErrors
	if !errors.As(err, &errs) || len(errs) != 2 || errs[0].Field != "name" || errs[1].Field != "password" {
		t.Errorf("mistakes: %v", err)
	}
	must(t, c.CheckSetUp(code))
	w := httptest.NewRecorder()
	must(t, c.SetUp(w, c.request("192.0.2.1"), code, "ann", good))
	if who := access.From(c.as(w.Result().Cookies()...)); who.Name != "ann" || !who.Administrator {
		t.Errorf("signed in is %+v", who)
	}
	if !c.IsSetUp() || c.SetUpLink() != "" {
		t.Error("the link stays")
	}
	for _, again := range []string{code, ""} {
		wants(t, fault.ErrForbidden, c.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), again, "eve", good))
		wants(t, fault.ErrForbidden, c.CheckSetUp(again))
	}
	if strings.Contains(c.log.String(), code) || strings.Contains(c.log.String(), good) {
		t.Error("the service logs secrets")
	}
	if next, err := auth.New(t.Context(), auth.Options{Accounts: c.store.Accounts, Audit: c.store.Audit, Logger: c.slog(), Now: c.clock}); err != nil || !next.IsSetUp() {
		t.Errorf("after a restart: %v", err)
	}
}

func TestTwoWhoUseTheSetUpLinkAtOnceMakeOneAdministrator(t *testing.T) {
	t.Parallel()
	c := empty(t)
	code := c.code()
	errs := make([]error, 2)
	var both sync.WaitGroup
	for i := range errs {
		both.Go(func() {
			errs[i] = c.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), code, fmt.Sprintf("ann%d", i), good)
		})
	}
	both.Wait()
	state, err := c.store.Access(t.Context())
	must(t, err)
	if (errs[0] == nil) == (errs[1] == nil) || len(state.Users) != 1 {
		t.Errorf("%v; users %+v", errs, state.Users)
	}
}

func TestEachStartHasItsOwnSetUpLink(t *testing.T) {
	t.Parallel()
	c := empty(t)
	next, err := auth.New(t.Context(), auth.Options{Accounts: c.store.Accounts, Audit: c.store.Audit, Logger: c.slog(), Now: c.clock})
	must(t, err)
	wants(t, fault.ErrForbidden, next.CheckSetUp(c.code()))
}

// TestAConsoleWithoutAdministratorHasALink is one that was tried with --dev, where users can be made and none signs in.
func TestAConsoleWithoutAdministratorHasALink(t *testing.T) {
	t.Parallel()
	c := empty(t)
	must(t, c.store.CreateUser(t.Context(), access.User{ID: "u-bob", Name: "bob", Kind: access.Person}, ""))
	next, err := auth.New(t.Context(), auth.Options{Accounts: c.store.Accounts, Audit: c.store.Audit, Logger: c.slog(), Now: c.clock})
	must(t, err)
	_, code, _ := strings.Cut(next.SetUpLink(), "code=")
	must(t, next.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), code, "ann", good))
	wants(t, fault.ErrForbidden, next.SetUp(httptest.NewRecorder(), c.request("192.0.2.1"), code, "eve", good))
}
