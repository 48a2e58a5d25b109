package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/vault"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

func TestFindTellsWhatIsThereAndReadsNoValue(t *testing.T) {
	t.Parallel()
	f := vaulttest.New()
	f.KV2["cotrain/shared/hub"] = map[string]any{"token": "geheim", "other": "x"}
	f.KV2["cotrain/shared/a b/ü#?%"] = map[string]any{"token": "geheim"}
	f.KV2["cotrain/shared/gone"] = nil // its newest version is deleted
	f.KV1["team/hub"] = map[string]any{"token": "geheim"}
	f.KV1["top"] = map[string]any{"token": "geheim"}
	f.Closed["secret/subkeys/cotrain/closed"] = true
	f.Fails = func(r *http.Request) (int, string) {
		if strings.HasPrefix(r.URL.Path, "/v1/secret/data/") || strings.HasPrefix(r.URL.Path, "/v1/kv/") && r.URL.Query().Get("list") == "" {
			t.Errorf("read %s", r.URL)
		}
		return 0, ""
	}
	c := open(t, f, byRole())
	for name, tc := range map[string]struct {
		path, field string
		kind        error
		says        string
	}{
		"a field":                   {"secret/cotrain/shared/hub", "token", nil, ""},
		"any field":                 {"secret/cotrain/shared/hub", "", nil, ""},
		"with data":                 {"secret/data/cotrain/shared/hub", "token", nil, ""},
		"odd characters":            {"secret/cotrain/shared/a b/ü#?%", "token", nil, ""},
		"another field":             {"secret/cotrain/shared/hub", "tokn", fault.ErrNotFound, "has no field tokn: it has other, token"},
		"no path":                   {"secret/cotrain/shared/huub", "token", fault.ErrNotFound, "nothing at secret/cotrain/shared/huub"},
		"deleted":                   {"secret/cotrain/shared/gone", "token", fault.ErrNotFound, "nothing at secret/cotrain/shared/gone"},
		"closed":                    {"secret/cotrain/closed", "token", fault.ErrForbidden, "does not let the console"},
		"first engine":              {"kv/team/hub", "whatever", nil, ""},
		"first engine, top":         {"kv/top", "token", nil, ""},
		"first engine, no path":     {"kv/team/none", "token", fault.ErrNotFound, "nothing at kv/team/none"},
		"first engine, no folder":   {"kv/nobody/none", "token", fault.ErrNotFound, "nothing at kv/nobody/none"},
		"first engine, of a prefix": {"kv/team", "token", fault.ErrNotFound, "nothing at kv/team"},
	} {
		err := c.Find(t.Context(), tc.path, tc.field)
		if !errors.Is(err, tc.kind) || err != nil && (!strings.Contains(fault.Of(err).What, tc.says) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, tc := range map[string]struct {
		code       int
		text, says string
	}{
		"sealed": {503, "Vault is sealed", "sealed"}, "standby": {473, "", "no active server"}, "many": {429, "", "too many requests"}, "away": {-1, "", "cannot be reached"},
	} {
		f.Do(func() { f.Fails = func(*http.Request) (int, string) { return tc.code, tc.text } })
		if err := c.Find(t.Context(), "secret/cotrain/shared/hub", "token"); !errors.Is(err, fault.ErrUnavailable) || !strings.Contains(fault.Of(err).What, tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindLogsInAgainWhenItsTokenIsGone(t *testing.T) {
	t.Parallel()
	f := vaulttest.New()
	f.KV2["hub"] = map[string]any{"token": "geheim"}
	c := open(t, f, byRole())
	for range 2 {
		if err := c.Find(t.Context(), "secret/hub", "token"); err != nil {
			t.Fatal(err)
		}
		f.Do(func() { clear(f.Tokens) })
	}
	if f.LogIns != 2 {
		t.Errorf("logged in %d times", f.LogIns)
	}
}

// TestARealVaultTellsNamesAndNoValues needs what [TestARealVault] needs. It has the rights that the console is given.
func TestARealVaultTellsNamesAndNoValues(t *testing.T) {
	t.Parallel()
	address, root := os.Getenv("VAULT_ADDR"), os.Getenv("VAULT_TOKEN")
	if address == "" || root == "" {
		t.Skip("VAULT_ADDR and VAULT_TOKEN are not set: nothing ran against a real Vault")
	}
	a, err := api.NewClient(api.DefaultConfig())
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(err)
	name := fmt.Sprintf("cotrain-find-%d", time.Now().UnixNano())
	one, two := name+"-1", name+"-2"
	do(a.Sys().Mount(one, &api.MountInput{Type: "kv"}))
	do(a.Sys().Mount(two, &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	do(a.Sys().PutPolicy(name, fmt.Sprintf(`path %q { capabilities = ["read"] }
path %q { capabilities = ["list"] }`, two+"/subkeys/cotrain/*", one+"/cotrain/*")))
	t.Cleanup(func() {
		for _, err := range []error{a.Sys().Unmount(one), a.Sys().Unmount(two), a.Sys().DeletePolicy(name)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	for path, data := range map[string]map[string]any{
		two + "/data/cotrain/shared/a b/ü#": {"data": map[string]any{"token": "geheim", "deep": map[string]any{"x": "y"}}}, two + "/data/other": {"data": map[string]any{"x": "y"}},
		one + "/cotrain/hub": {"token": "geheim"}, two + "/data/cotrain/gone": {"data": map[string]any{"x": "y"}},
	} {
		_, err := a.Logical().WriteWithContext(t.Context(), path, data)
		do(err)
	}
	_, err = a.Logical().DeleteWithContext(t.Context(), two+"/data/cotrain/gone")
	do(err)
	made, err := a.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{Policies: []string{name}, TTL: "5m"})
	do(err)
	c, err := vault.New(vault.Config{Address: address, Auth: vault.Auth{Method: vault.ByToken, Token: made.Auth.ClientToken}})
	do(err)
	for path, want := range map[string]error{
		two + "/cotrain/shared/a b/ü##token": nil, two + "/cotrain/shared/a b/ü##deep": nil, two + "/cotrain/shared/a b/ü##none": fault.ErrNotFound, two + "/cotrain/gone#x": fault.ErrNotFound,
		two + "/cotrain/none#x": fault.ErrNotFound, two + "/other#x": fault.ErrForbidden, one + "/cotrain/hub#token": nil, one + "/cotrain/none#x": fault.ErrNotFound, name + "/x#y": fault.ErrNotFound,
	} {
		i := strings.LastIndexByte(path, '#')
		if err := c.Find(t.Context(), path[:i], path[i+1:]); !errors.Is(err, want) || err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}
