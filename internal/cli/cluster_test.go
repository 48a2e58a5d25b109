package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cotrain/cotrain/internal/vault/vaulttest"
)

func TestClusterCommandsSayWhatTheyNeed(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.env = map[string]string{"NOMAD_ADDR": "http://127.0.0.1:1"}
	c.cotrain("cluster", "check").want(t, exitFailed, "connection refused", "0 ok, 0 warnings, 1 failures")
	c.cotrain("cluster", "setup").want(t, exitFailed, "connection refused", "see above", "VAULT_ADDR is not set", "--token-file")
	c.cotrain("cluster", "setup", "--token-file", "x", "--print-token").want(t, exitUsage, "can't be used together")
	c.cotrain("cluster", "setup", "--token-in-vault").want(t, exitUsage, "VAULT_ADDR")
	c.cotrain("cluster", "setup", "--nomad-engine").want(t, exitUsage, "VAULT_ADDR")
	c.cotrain("cluster", "setup", "--dry-run", "--bootstrap", filepath.Join(t.TempDir(), "none")).want(t, exitUsage, "a dry run does not bootstrap")
	c.cotrain("cluster", "setup", "--vault-address", "http://127.0.0.1:1").want(t, exitRefused, "VAULT_TOKEN")
	for _, name := range []string{"*", "../x", "a b", `a"b`, strings.Repeat("a", 113)} {
		c.cotrain("cluster", "setup", "--namespace", name).want(t, exitUsage, "can have no namespace", "letters, digits and dashes")
	}
	c.cotrain("cluster", "check", "--nomad-address", "nowhere").want(t, exitUsage, "--nomad-address")
	c.env["NOMAD_CACERT"] = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(c.env["NOMAD_CACERT"], []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.files[c.env["NOMAD_CACERT"]] = "no certificate"
	c.cotrain("cluster", "check").want(t, exitRefused, "TLS to Nomad cannot be set up: there is no certificate in PEM", "NOMAD_CACERT")
	delete(c.env, "NOMAD_CACERT")
	c.env["COTRAIN_DEV"] = "true"
	c.cotrain("cluster", "check").want(t, exitUsage, "--dev brings its own agent")
}

// TestAnAgentWithoutACLsIsNamed as the embedded one is, which people may point at by mistake.
func TestAnAgentWithoutACLsIsNamed(t *testing.T) {
	t.Parallel()
	agent := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(agent.Close)
	c := newConsole(t)
	c.env = map[string]string{"NOMAD_ADDR": agent.URL}
	c.cotrain("cluster", "setup").want(t, exitFailed, "404")
}

// TestFindingsAreJSON also where Nomad is away: what is known of Vault is there.
func TestFindingsAreJSON(t *testing.T) {
	t.Parallel()
	v := vaulttest.New()
	v.Of["root"] = nil
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	c := newConsole(t)
	c.env = map[string]string{"NOMAD_ADDR": "http://127.0.0.1:1", "VAULT_ADDR": server.URL, "VAULT_TOKEN": "root", "COTRAIN_JOB_VAULT_ROLE": "cotrain-runs"}
	var got struct {
		Findings []struct{ Level, In, About, What, Fix string }
	}
	r := c.cotrain("cluster", "check", "--format", "json").want(t, exitFailed)
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || len(got.Findings) != 4 || got.Findings[0].In != "nomad" || got.Findings[1].In != "vault" || !strings.Contains(got.Findings[1].Fix, "cotrain cluster setup") {
		t.Errorf("%v: %s", err, r.out)
	}
	var report struct {
		Items []struct{ In, Kind, Name, State, Error string }
	}
	r = c.cotrain("cluster", "setup", "--dry-run", "--format", "json").want(t, exitFailed)
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || len(report.Items) != 10 || report.Items[9].State != "created" || len(v.Written) != 0 {
		t.Errorf("%v: %s, wrote %v", err, r.out, v.Written)
	}
}

// TestBootstrapLosesNoToken though Nomad tells the first one only once, and never another.
func TestBootstrapLosesNoToken(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var answer atomic.Value // of Nomad: what it does with the secret that it is sent
	nomad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/acl/bootstrap" {
			http.Error(w, "Permission denied", http.StatusForbidden)
			return
		}
		var sent struct{ BootstrapSecret string }
		err := json.NewDecoder(r.Body).Decode(&sent)
		calls.Add(1)
		answer.Load().(func(http.ResponseWriter, string, error))(w, sent.BootstrapSecret, err)
	}))
	t.Cleanup(nomad.Close)
	answers := func(f func(w http.ResponseWriter, secret string, err error)) { answer.Store(f) }
	dir := t.TempDir()
	file := filepath.Join(dir, "management.token")
	c := newConsole(t)
	c.env = map[string]string{"NOMAD_ADDR": nomad.URL}
	setup := func(file string) result { return c.cotrain("cluster", "setup", "--bootstrap", file) }

	setup(filepath.Join(dir, "none", "token")).want(t, exitRefused, "no such file or directory", "No token was made")
	setup(dir).want(t, exitRefused, "that is not a file")
	if calls.Load() != 0 {
		t.Fatal("ACLs are bootstrapped for a token that cannot be kept")
	}

	already := func(w http.ResponseWriter, _ string, _ error) {
		http.Error(w, "ACL bootstrap already done (reset index: 8)", http.StatusBadRequest)
	}
	answers(already)
	setup(file).want(t, exitFailed, "were bootstrapped before", "NOMAD_TOKEN")
	if _, err := os.Stat(file); err == nil {
		t.Error("a token that Nomad does not know is left behind")
	}

	answers(func(w http.ResponseWriter, _ string, _ error) { panic(http.ErrAbortHandler) }) // it may have worked
	setup(file).want(t, exitFailed, "Nomad is not reachable")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	answers(func(w http.ResponseWriter, secret string, err error) {
		if err != nil || secret != strings.TrimSpace(string(kept)) {
			t.Errorf("Nomad is sent %q, %v, and the file has %q", secret, err, kept)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretID": secret})
	})
	setup(file).want(t, exitFailed, "does not let the token")
	answers(already)
	setup(file).want(t, exitFailed, "does not let the token")
	if again, err := os.ReadFile(file); err != nil || string(again) != string(kept) {
		t.Errorf("the file has %q then, %v", again, err)
	}
}
