package nomad_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/cotrain/cotrain/nomad"
)

var example = nomad.Values{
	"region": "global", "datacenter": "dc1", "data_dir": "/opt/nomad/data", "plugin_dir": "/opt/nomad/plugins", "address": "{{ GetPrivateIP }}", "tls_dir": "/etc/nomad.d/tls",
	"bootstrap_expect": 3, "retry_join": []string{"10.0.0.1", "10.0.0.2"}, "zone": "rack-1", "node_pool": "gpu", "max_kill_timeout": "5m", "storage_volume": "cotrain",
	"storage_path": "/srv/cotrain", "raw_exec": false, "gossip_key": "a2V5", "vault_address": "https://vault.example:8200", "vault_ca_file": "", "jwt_mount": "jwt-nomad",
	"consul_address": "127.0.0.1:8500", "consul_auth_method": "nomad-workloads", "namespace": "training", "description": "Runs of CoTrain", "kv_mount": "secret",
	"nomad_mount": "nomad", "database_mount": "database", "jwt_accessor": "auth_jwt_1", "jwks_url": "https://nomad.example:4646/.well-known/jwks.json",
	"jwks_ca_pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "namespaces": []string{"training", "team-a"}, "console_namespace": "cotrain",
	"nomad_policies": []string{"cotrain-console"}, "consul_service": "cotrain",
}

// templates are the files with placeholders.
func templates(t *testing.T) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, ".nomad.hcl") {
			names = append(names, name)
		}
		return err
	})
	if err != nil || len(names) < 15 {
		t.Fatalf("files are %v, %v", names, err)
	}
	return names
}

func TestEveryFileIsCompleteWhenFilled(t *testing.T) {
	t.Parallel()
	for _, name := range templates(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := nomad.Fill(name, example)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "${") || strings.Contains(text, "%{") {
				t.Errorf("a placeholder is left, or what templatefile takes for one:\n%s", text)
			}
			if strings.HasSuffix(name, ".json") {
				if err := json.Unmarshal([]byte(text), &map[string]any{}); err != nil {
					t.Error(err)
				}
			} else if _, problems := hclparse.NewParser().ParseHCL([]byte(text), name); problems.HasErrors() {
				t.Error(problems)
			}
		})
	}
	if _, problems := hclparse.NewParser().ParseHCLFile("cotrain.nomad.hcl"); problems.HasErrors() {
		t.Error(problems)
	}
}

func TestEveryPlaceholderIsExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range templates(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head, sign := string(doc), "//\t"
		if !strings.HasSuffix(name, ".json") {
			head, sign = string(text), "# "
		}
		explained := regexp.MustCompile(`(?m)^`+sign+`([a-z_]+)  +\S`).FindAllStringSubmatch(head, -1)
		inFile := regexp.MustCompile(`\$\{([a-z_]+)\}`).FindAllStringSubmatch(string(text), -1)
		for _, p := range inFile {
			used[p[1]] = true
			if !slices.ContainsFunc(explained, func(e []string) bool { return e[1] == p[1] }) {
				t.Errorf("%s does not explain %s", name, p[1])
			}
		}
		for _, e := range explained {
			if !strings.HasSuffix(name, ".json") && !slices.ContainsFunc(inFile, func(p []string) bool { return p[1] == e[1] }) {
				t.Errorf("%s explains %s, and has no such placeholder", name, e[1])
			}
		}
	}
	for name := range example {
		if !used[name] {
			t.Errorf("no file has %s", name)
		}
	}
}

func TestAValueCannotChangeWhatAPolicySays(t *testing.T) {
	t.Parallel()
	for _, value := range []any{`a" { policy = "write" } #`, "a\nb", "${x}", `a\`, []string{"a"}} {
		if text, err := nomad.Fill("policies/console.hcl", nomad.Values{"namespace": value}); err == nil {
			t.Errorf("%q gives %s", value, text)
		}
	}
	if _, err := nomad.Fill("policies/console.hcl", nomad.Values{}); err == nil || !strings.Contains(err.Error(), "no value for namespace") {
		t.Errorf("without a value it gives %v", err)
	}
	if _, err := nomad.Fill("policies/none.hcl", nil); err == nil {
		t.Error("a file that is not there is filled")
	}
}

func TestTheConsoleHasTheSameRightsInEveryNamespace(t *testing.T) {
	t.Parallel()
	var blocks []string
	for _, name := range []string{"policies/console.hcl", "policies/project.hcl"} {
		text, err := nomad.Fill(name, example)
		if err != nil {
			t.Fatal(err)
		}
		_, block, _ := strings.Cut(text, "\nnamespace ")
		block, _, _ = strings.Cut(block, "\n}\n")
		blocks = append(blocks, block)
	}
	if blocks[0] == "" || blocks[0] != blocks[1] {
		t.Errorf("in its own namespace it has\n%s\nand in others\n%s", blocks[0], blocks[1])
	}
}
