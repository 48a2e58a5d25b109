package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
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
	c.cotrain("cluster", "check", "--nomad-address", "nowhere").want(t, exitUsage, "--nomad-address")
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
