package app

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

// loadConfig is the configuration that variables make.
func loadConfig(t *testing.T, env map[string]string) config.Config {
	t.Helper()
	cfg, err := config.Load(nil, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// tokens is a Nomad that notes which token it was asked with.
type tokens struct {
	mu   sync.Mutex
	seen []string
}

func (n *tokens) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	if token := r.Header.Get("X-Nomad-Token"); !slices.Contains(n.seen, token) {
		n.seen = append(n.seen, token)
	}
	n.mu.Unlock()
	if r.URL.Path == "/v1/status/leader" {
		_, _ = w.Write([]byte(`"127.0.0.1:4647"`))
		return
	}
	_, _ = w.Write([]byte(`[]`))
}

func TestWhatVaultReplacesIsUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	v, n := vaulttest.New(), &tokens{}
	v.Lasts, v.Longest = 3*time.Second, 5*time.Second
	v.KV2["cotrain"] = map[string]any{"region": "eu", "key": "planted-secret-of-32-characters-"}
	vault, nomad := httptest.NewServer(v), httptest.NewServer(n)
	t.Cleanup(func() {
		vault.Close()
		nomad.Close()
	})
	a, log := newApp(t, loadConfig(t, map[string]string{
		"COTRAIN_LISTEN": "127.0.0.1:0", "COTRAIN_DATA_DIR": filepath.Join(t.TempDir(), "data"), "NOMAD_ADDR": nomad.URL, "NOMAD_TOKEN": "vault:nomad/creds/cotrain#secret_id",
		"NOMAD_REGION": "vault:secret/cotrain#region", "COTRAIN_AUTH_SECRET_KEY": "vault:secret/cotrain#key",
		"VAULT_ADDR": vault.URL, "COTRAIN_VAULT_AUTH": "approle", "COTRAIN_VAULT_ROLE": "role", "COTRAIN_VAULT_SECRET_ID": "s3cret",
	}))
	if a.cfg.Nomad.Region != "eu" || a.cfg.Auth.SecretKey != "planted-secret-of-32-characters-" {
		t.Errorf("got %+v", a.cfg.Nomad)
	}
	start(t, a)
	seen := func() []string {
		n.mu.Lock()
		defer n.mu.Unlock()
		return slices.Clone(n.seen)
	}
	until := time.Now().Add(patience)
	for len(seen()) < 3 && time.Now().Before(until) {
		time.Sleep(20 * time.Millisecond)
	}
	if got := seen(); len(got) < 3 || got[0] != "secret-1" || got[1] == got[0] || got[2] == got[1] { // a slow machine skips some
		t.Errorf("Nomad saw the tokens %q", got)
	}
	v.Do(func() { v.Fails = func(*http.Request) (int, string) { return 503, "Vault is sealed" } })
	wrong := func() string {
		a.health.mu.Lock()
		defer a.health.mu.Unlock()
		return fmt.Sprint(a.health.vault)
	}
	for !strings.Contains(wrong(), "Vault is sealed") && time.Now().Before(until) {
		time.Sleep(20 * time.Millisecond)
	}
	v.Do(func() { v.Fails = nil })
	for wrong() != "map[]" && time.Now().Before(until) {
		time.Sleep(20 * time.Millisecond)
	}
	if time.Now().After(until) {
		t.Errorf("the console says %q", wrong())
	}
	stop(t, a)
	if text := log.String(); strings.Contains(text, "planted-secret") || strings.Contains(text, "secret-1") || strings.Contains(text, "s3cret") {
		t.Errorf("the log has a secret:\n%s", text)
	}
	v.Do(func() {
		if len(v.Tokens) > 3 { // those that ended, and root
			return
		}
		for name, end := range v.Tokens {
			if name != "root" && time.Now().Before(end) {
				t.Errorf("the token %s was not given back", name)
			}
		}
	})
}

func TestASecretThatCannotBeReadKeepsTheConsoleFromStarting(t *testing.T) {
	t.Parallel()
	v := vaulttest.New()
	v.Closed["nomad/creds/cotrain"] = true
	vault := httptest.NewServer(v)
	t.Cleanup(vault.Close)
	env := map[string]string{
		"COTRAIN_DATA_DIR": filepath.Join(t.TempDir(), "data"), "NOMAD_TOKEN": "vault:nomad/creds/cotrain#secret_id", "VAULT_ADDR": vault.URL, "VAULT_TOKEN": "root",
	}
	for _, tc := range []struct{ key, value, want string }{
		{"", "", "does not let the console read nomad/creds/cotrain"},
		{"VAULT_TOKEN", "wrong", "does not let the console use its token"},
		{"VAULT_ADDR", "http://127.0.0.1:1", "Vault cannot be reached"},
		{"VAULT_ADDR", "vault.example", "VAULT_ADDR"},
		{"NOMAD_TOKEN", "vault:nomad", "it has no #field"},
		{"COTRAIN_VAULT_AUTH", "approle", "vault.secret_id"},
	} {
		changed := maps.Clone(env)
		changed[tc.key] = tc.value
		cfg := loadConfig(t, changed)
		_, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s=%s: %v", tc.key, tc.value, err)
		}
	}
}
