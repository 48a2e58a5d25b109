package terraform

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needsProvider says whether a folder, or one that it calls, is not for Terraform alone.
func needsProvider(t *testing.T, f folder) bool {
	t.Helper()
	for _, b := range f.settings[0].Body.Blocks {
		if b.Type == "required_providers" {
			return true
		}
	}
	for _, call := range f.calls {
		if needsProvider(t, parse(t, filepath.Join(f.path, strings.Trim(f.attribute(call, "source"), `"`)))) {
			return true
		}
	}
	return false
}

// TestTerraform has the command validate and test what needs no provider: all but the modules and roots of one product or cloud.
func TestTerraform(t *testing.T) {
	t.Parallel()
	binary := command(t, "terraform")
	config := filepath.Join(t.TempDir(), "terraformrc")
	if err := os.WriteFile(config, []byte("disable_checkpoint = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, data string, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+config, "TF_DATA_DIR="+data, "TF_IN_AUTOMATION=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	var version struct {
		Version string `json:"terraform_version"`
	}
	if err := json.Unmarshal(run(t, t.TempDir(), "version", "-json"), &version); err != nil {
		t.Fatal(err)
	}
	if v := version.Version; strings.HasPrefix(v, "0.") || (strings.HasPrefix(v, "1.") && len(v) < len("1.11.0")) {
		t.Skipf("terraform is %s, and 1.11 is needed", v)
	}
	tried := 0
	for _, f := range folders(t) {
		if needsProvider(t, f) {
			continue
		}
		tried++
		t.Run(f.path, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			run(t, data, "-chdir="+f.path, "init", "-backend=false", "-input=false", "-no-color")
			run(t, data, "-chdir="+f.path, "validate", "-no-color")
			if strings.HasPrefix(f.path, "examples/") {
				run(t, data, "-chdir="+f.path, "plan", "-input=false", "-no-color", "-lock=false", "-state="+filepath.Join(data, "state"), "-var-file=example.tfvars")
				return
			}
			run(t, data, "-chdir="+f.path, "test", "-no-color")
		})
	}
	if tried < 8 {
		t.Errorf("only %d folders need no provider", tried)
	}
}
