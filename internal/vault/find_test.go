package vault_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
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
