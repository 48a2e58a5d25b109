package app

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

// signing is a Vault that signs as the authority, and a configuration that asks it to.
func signing(t *testing.T, ca *certtest.Authority) (*vaulttest.Vault, config.Config) {
	t.Helper()
	v := vaulttest.New()
	v.Signs = func(body map[string]any) (int, map[string]any) {
		return 200, map[string]any{"certificate": string(ca.Sign([]byte(body["csr"].(string)), time.Now(), time.Hour)), "ca_chain": []string{string(ca.PEM)}}
	}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	return v, loadConfig(t, map[string]string{
		"COTRAIN_LISTEN": "127.0.0.1:0", "COTRAIN_DATA_DIR": filepath.Join(t.TempDir(), "data"), "NOMAD_ADDR": "http://127.0.0.1:1", "COTRAIN_TLS_VAULT": "pki/sign/cotrain",
		"COTRAIN_PUBLIC_URL": "https://" + publicHost, "COTRAIN_TLS_VAULT_NAMES": publicHost + ",127.0.0.1", "VAULT_ADDR": server.URL, "VAULT_TOKEN": "root",
	})
}

func TestTheConsoleIsServedWithACertificateOfVault(t *testing.T) {
	t.Parallel()
	root := certtest.New(t)
	_, cfg := signing(t, root.Intermediate())
	a, log := newApp(t, cfg)
	start(t, a)
	if res := ask(t, http.MethodGet, "https://"+a.Addr()+"/healthz", publicHost, root.Trust()); res.StatusCode != http.StatusOK {
		t.Errorf("%s %s", res.Status, log)
	}
	if m := a.health.system().Message; strings.Contains(m, "TLS") {
		t.Errorf("the banner says %q", m)
	}
}

func TestAConsoleThatGetsNoCertificateOfVaultSaysWhyAndWhichSetting(t *testing.T) {
	t.Parallel()
	v, cfg := signing(t, certtest.New(t))
	for what, change := range map[string]func(){
		"common name x not allowed by this role": func() {
			v.Signs = func(map[string]any) (int, map[string]any) {
				return 400, map[string]any{"error": "common name x not allowed by this role"}
			}
		},
		"Vault is sealed. Unseal it": func() { v.Fails = func(*http.Request) (int, string) { return 503, "Vault is sealed" } },
	} {
		v.Do(change)
		_, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.DiscardHandler), Executable: "/bin/false"})
		if err == nil || !strings.Contains(err.Error(), `tls.vault (COTRAIN_TLS_VAULT) "pki/sign/cotrain": `) || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
		v.Do(func() { v.Fails = nil })
	}
}
