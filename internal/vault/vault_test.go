package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/vault"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

// open is a client of a Vault.
func open(t *testing.T, f *vaulttest.Vault, auth vault.Auth) *vault.Client {
	t.Helper()
	c, err := vault.New(vault.Config{Address: "http://vault.invalid:8200", Auth: auth, Transport: f, ClientCert: "c", ClientKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func byRole() vault.Auth {
	return vault.Auth{Method: vault.ByAppRole, Role: "role", SecretID: "s3cret"}
}

func ref(t *testing.T, text string) vault.Ref {
	t.Helper()
	r, err := vault.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func alive(f *vaulttest.Vault, token string) bool {
	_, ok := f.Tokens[token]
	return ok
}

func TestReferencesAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]vault.Ref{
		"vault:secret/cotrain#token":            {Path: "secret/cotrain", Field: "token"},
		" vault:kv/a b/ü%/c#f#g ":               {Path: "kv/a b/ü%/c", Field: "f#g"},
		"vault:database/creds/cotrain#password": {Path: "database/creds/cotrain", Field: "password"},
	} {
		got, err := vault.ParseRef(text)
		if err != nil || got != want || !vault.IsRef(text) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		if again, err := vault.ParseRef(got.String()); err != nil || again != got {
			t.Errorf("%s is %+v, %v", got, again, err)
		}
	}
	for _, text := range []string{
		"", "vault:", "secret/x#y", "vault:secret/x", "vault:secret/x#", "vault:secret#y", "vault:/x#y", "vault:secret//x#y", "vault:secret/../x#y", "vault:secret/./x#y",
		"vault:secret/x?list=true#y", "vault:secret/x\n#y", "vault:secret/ /x#y", "vault:" + strings.Repeat("a/", 600) + "x#y", "vault:secret/\xff#y",
	} {
		if got, err := vault.ParseRef(text); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
}

func TestValuesOfEachEngine(t *testing.T) {
	t.Parallel()
	f := vaulttest.New()
	f.KV1["app/one"] = map[string]any{"text": "a", "number": 12345678901234567, "yes": true, "none": nil, "list": []int{1, 2}, "empty": ""}
	f.KV2["app"] = map[string]any{"token": "two", "long": strings.Repeat("x", 64<<10), "longer": strings.Repeat("x", 64<<10+1)}
	f.KV2["gone"] = nil
	f.KV2["data/odd"] = map[string]any{"x": "no"}
	c := open(t, f, byRole())
	for text, want := range map[string]string{
		"vault:kv/app/one#text": "a", "vault:kv/app/one#number": "12345678901234567", "vault:kv/app/one#yes": "true", "vault:kv/app/one#list": "[1,2]", "vault:kv/app/one#none": "", "vault:kv/app/one#empty": "",
		"vault:secret/app#token": "two", "vault:secret/data/app#token": "two", "vault:secret/app#long": strings.Repeat("x", 64<<10),
	} {
		if got, err := c.Value(t.Context(), ref(t, text)); err != nil || got != want {
			t.Errorf("%s is %.40q, %v", text, got, err)
		}
	}
	user, err1 := c.Value(t.Context(), ref(t, "vault:database/creds/cotrain#username"))
	password, err2 := c.Value(t.Context(), ref(t, "vault:database/creds/cotrain#password"))
	if user != "user-1" || password != "pass-1" || err1 != nil || err2 != nil {
		t.Errorf("%s with %s, %v, %v: not of one user", user, password, err1, err2)
	}
	for text, want := range map[string]string{
		"vault:secret/app#other": "has no field other", "vault:secret/none#x": "nothing at secret/none", "vault:secret/gone#x": "nothing at secret/gone", "vault:secret/app#longer": "65537 bytes",
		"vault:elsewhere/x#y": "nothing at elsewhere/x",
	} {
		if got, err := c.Value(t.Context(), ref(t, text)); !errors.Is(err, fault.ErrInvalid) || !strings.Contains(fault.Of(err).What, want) || strings.Contains(fmt.Sprint(err), "two") {
			t.Errorf("%s is %q, %v", text, got, err)
		}
	}
	if f.LogIns != 1 {
		t.Errorf("logged in %d times", f.LogIns)
	}
}

func TestEachMethodLogsIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(text string) string {
		name := filepath.Join(dir, fmt.Sprintf("%x", text))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, tc := range map[string]struct {
		auth vault.Auth
		want string // of the error, "" for none
	}{
		"token":                 {vault.Auth{Method: vault.ByToken, Token: "root"}, ""},
		"token file":            {vault.Auth{Method: vault.ByToken, TokenFile: file("root\n")}, ""},
		"approle":               {byRole(), ""},
		"approle elsewhere":     {vault.Auth{Method: vault.ByAppRole, Mount: "else/approle", Role: "role", SecretID: "x"}, ""},
		"jwt":                   {vault.Auth{Method: vault.ByJWT, Role: "cotrain", JWTFile: file("a.b.c")}, ""},
		"cert":                  {vault.Auth{Method: vault.ByCert}, ""},
		"a wrong token":         {vault.Auth{Method: vault.ByToken, Token: "guess"}, "does not let the console use its token"},
		"a wrong secret ID":     {vault.Auth{Method: vault.ByAppRole, Role: "role", SecretID: "guess"}, "refuses to log in at auth/approle"},
		"a method that is off":  {vault.Auth{Method: vault.ByJWT, Mount: "nomad", Role: "cotrain", JWTFile: file("a.b.c")}, "refuses to log in at auth/nomad"},
		"no file":               {vault.Auth{Method: vault.ByJWT, Role: "cotrain", JWTFile: filepath.Join(dir, "none")}, "vault.jwt_file"},
		"an empty file":         {vault.Auth{Method: vault.ByToken, TokenFile: file("\n")}, "vault.token_file"},
		"a file of many lines":  {vault.Auth{Method: vault.ByToken, TokenFile: file("a\nb")}, "vault.token_file"},
		"a token from a file":   {vault.Auth{Method: vault.ByToken, TokenFile: file("s.guess")}, "use its token"},
		"a certificate of a CN": {vault.Auth{Method: vault.ByCert, Role: "other"}, "refuses to log in at auth/cert"},
	} {
		f := vaulttest.New()
		f.KV2["app"] = map[string]any{"x": "y"}
		c := open(t, f, tc.auth)
		got, err := c.Value(t.Context(), ref(t, "vault:secret/app#x"))
		text := fmt.Sprint(err)
		if said := (*fault.Error)(nil); errors.As(err, &said) {
			text = said.What
		}
		if tc.want == "" && (err != nil || got != "y") || tc.want != "" && !strings.Contains(text, tc.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if strings.Contains(fmt.Sprint(err), "guess") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	for name, bad := range map[string]vault.Config{
		"no address":        {Auth: byRole()},
		"another scheme":    {Address: "ftp://x", Auth: byRole()},
		"no token":          {Address: "http://x", Auth: vault.Auth{Method: vault.ByToken}},
		"no secret ID":      {Address: "http://x", Auth: vault.Auth{Method: vault.ByAppRole, Role: "r"}},
		"no JWT":            {Address: "http://x", Auth: vault.Auth{Method: vault.ByJWT, Role: "r"}},
		"no certificate":    {Address: "http://x", Auth: vault.Auth{Method: vault.ByCert}},
		"no such authority": {Address: "https://x", Auth: byRole(), CACert: filepath.Join(dir, "none")},
		"no PEM":            {Address: "https://x", Auth: byRole(), CACert: file("text")},
	} {
		if _, err := vault.New(bad); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// told collects what Run reports and what is followed.
type told struct {
	mu      sync.Mutex
	values  []string
	reports []string
}

func (l *told) change(_ context.Context, values []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, strings.Join(values, "/"))
	return nil
}

func (l *told) changes() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.values)
}

func (l *told) reported() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.reports)
}

func (l *told) report(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := "right"
	if err != nil {
		text = fault.Of(err).What
	}
	if line := what + ": " + text; len(l.reports) == 0 || l.reports[len(l.reports)-1] != line {
		l.reports = append(l.reports, line)
	}
}

// following runs a client that follows references in a bubble.
func following(t *testing.T, f *vaulttest.Vault, auth vault.Auth, refs ...string) (*vault.Client, *told) {
	t.Helper()
	c, l := open(t, f, auth), &told{}
	var all []vault.Ref
	for _, text := range refs {
		r := ref(t, text)
		if _, err := c.Value(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	c.Follow(l.change, all...)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := c.Run(ctx, l.report); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return c, l
}

func TestAStoredSecretIsFollowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := vaulttest.New()
		f.KV2["app"] = map[string]any{"x": "1", "other": "a"}
		_, l := following(t, f, byRole(), "vault:secret/app#x")
		set := func(path string, data map[string]any) {
			f.Mutex.Lock()
			f.KV2[path] = data
			f.Mutex.Unlock()
			time.Sleep(2 * time.Minute)
		}
		set("app", map[string]any{"x": "1", "other": "b"})
		set("app", map[string]any{"x": "2"})
		set("app", map[string]any{"y": "2"})
		set("app", map[string]any{"x": "3"})
		if !slices.Equal(l.changes(), []string{"2", "3"}) || !slices.Equal(l.reported(), []string{"secret/app: secret/app in Vault has no field x.", "secret/app: right"}) {
			t.Errorf("told %v, reported %v", l.changes(), l.reported())
		}
	})
}

func TestALeaseIsRenewedAndReplacedBeforeItsLastEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := vaulttest.New()
		f.Longest = 4 * time.Hour
		c, l := following(t, f, byRole(), "vault:database/creds/cotrain#username", "vault:database/creds/cotrain#password")
		for range 24 * 60 {
			time.Sleep(time.Minute)
			user, err := c.Value(t.Context(), ref(t, "vault:database/creds/cotrain#username"))
			if err != nil {
				t.Fatal(err)
			}
			f.Mutex.Lock()
			end := f.Leases["database/creds/cotrain/"+strings.TrimPrefix(user, "user-")]
			f.Mutex.Unlock()
			if time.Until(end) <= 0 {
				t.Fatalf("%s is used %v after its end", user, -time.Until(end))
			}
		}
		if got := l.changes(); len(got) < 6 || len(got) > 8 || got[0] != "user-2/pass-2" || f.Made != len(got)+1 {
			t.Errorf("told %v of %d", l.changes(), f.Made)
		}
		if f.LogIns < 6 || f.LogIns > 9 || len(l.reported()) != 0 {
			t.Errorf("%d log-ins, reported %v", f.LogIns, l.reported())
		}
	})
}

func TestVaultMayGoAway(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code       int
		text, want string
	}{
		"sealed":      {503, "Vault is sealed", "Vault is sealed."},
		"standby":     {503, "Vault is in standby mode", "Vault has no active server, or is starting."},
		"performance": {473, "", "Vault has no active server, or is starting."},
		"limited":     {429, "request path rate limit quota exceeded", "Vault says that there were too many requests."},
		"broken":      {500, "internal error", "Vault failed with code 500"},
		"unreachable": {-1, "", "Vault cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := vaulttest.New()
				f.Lasts = 30 * time.Minute
				f.KV1["app"] = map[string]any{"x": "1"}
				c, l := following(t, f, byRole(), "vault:nomad/creds/cotrain#secret_id")
				if _, err := c.Value(t.Context(), ref(t, "vault:kv/app#x")); err != nil {
					t.Fatal(err)
				}
				fails := func(fn func(*http.Request) (int, string)) {
					f.Mutex.Lock()
					defer f.Mutex.Unlock()
					f.Fails = fn
				}
				fails(func(*http.Request) (int, string) { return tc.code, tc.text })
				time.Sleep(time.Hour) // token and lease end meanwhile
				if got, err := c.Value(t.Context(), ref(t, "vault:nomad/creds/cotrain#secret_id")); got != "secret-1" || err != nil {
					t.Errorf("meanwhile it is %q, %v", got, err)
				}
				fails(nil)
				time.Sleep(time.Minute)
				if !slices.Equal(l.changes(), []string{"secret-2"}) {
					t.Errorf("told %v", l.changes())
				}
				if got := l.reported(); len(got) < 3 || !strings.Contains(got[0], tc.want) || !slices.Contains(got, ": right") || !slices.Contains(got, "nomad/creds/cotrain: right") {
					t.Errorf("reported %q", l.reported())
				}
			})
		})
	}
}

func TestATokenThatIsRevokedIsReplacedOnce(t *testing.T) {
	t.Parallel()
	f := vaulttest.New()
	f.KV1["a"], f.KV1["b"] = map[string]any{"x": "1"}, map[string]any{"x": "2"}
	c := open(t, f, byRole())
	if _, err := c.Value(t.Context(), ref(t, "vault:kv/a#x")); err != nil {
		t.Fatal(err)
	}
	delete(f.Tokens, "t1")
	if got, err := c.Value(t.Context(), ref(t, "vault:kv/b#x")); got != "2" || err != nil {
		t.Errorf("it is %q, %v", got, err)
	}
	f.Closed["kv/c"] = true
	_, err := c.Value(t.Context(), ref(t, "vault:kv/c#x"))
	if !errors.Is(err, fault.ErrForbidden) || !strings.Contains(fault.Of(err).What, "read kv/c") || f.LogIns != 2 {
		t.Errorf("a closed path: %v after %d log-ins", err, f.LogIns)
	}
	c.Close(t.Context())
	if alive(f, "t2") {
		t.Error("the token was not given back")
	}
	if c := open(t, f, vault.Auth{Method: vault.ByToken, Token: "root"}); true {
		if _, err := c.Value(t.Context(), ref(t, "vault:kv/a#x")); err != nil {
			t.Fatal(err)
		}
		if c.Close(t.Context()); !alive(f, "root") {
			t.Error("a token that others made was revoked")
		}
	}
}

func TestWhoFailsWithAChangeIsToldAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := vaulttest.New()
		f.KV1["app"] = map[string]any{"x": "1"}
		c, l := following(t, f, byRole(), "vault:kv/app#x")
		var failing, other told
		tries := 0
		c.Follow(func(ctx context.Context, values []string) error {
			if tries++; tries < 3 {
				return fault.New(fault.ErrUnavailable, "The database is away.", "")
			}
			return failing.change(ctx, values)
		}, ref(t, "vault:kv/app#x"))
		c.Follow(other.change, ref(t, "vault:kv/app#x"))
		f.Mutex.Lock()
		f.KV1["app"] = map[string]any{"x": "2"}
		f.Mutex.Unlock()
		time.Sleep(10 * time.Minute)
		for name, l := range map[string]*told{"the first": l, "the one that fails": &failing, "the last": &other} {
			if got := l.changes(); !slices.Equal(got, []string{"2"}) {
				t.Errorf("%s was told %v", name, got)
			}
		}
		if got := l.reported(); !slices.Equal(got, []string{"kv/app: The database is away.", "kv/app: right"}) {
			t.Errorf("reported %v", got)
		}
	})
}

func TestALongAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	f := vaulttest.New()
	f.KV1["app"] = map[string]any{"x": strings.Repeat("x", 3<<20)}
	_, err := open(t, f, byRole()).Value(t.Context(), ref(t, "vault:kv/app#x"))
	if err == nil || strings.Contains(err.Error(), "xxx") {
		t.Errorf("%.200v", err)
	}
}
