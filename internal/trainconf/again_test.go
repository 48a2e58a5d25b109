package trainconf

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

func TestARunAskedForAgainDoesNotWriteIntoTheFirstOnesFolders(t *testing.T) {
	t.Parallel()
	r := run.Run{
		ID: "r-0123456789", Name: "first", Config: string(with(debugConfig(), "ckpt.path", "models/checkpoints/r-0123456789", "ckpt.interval", "10").TOML()), Shape: run.Shape{Nodes: 1},
		Options: run.Options{Env: map[string]string{"OUT": "/x/r-0123456789"}, Args: []string{"--ckpt.path=/y/r-0123456789"}},
	}
	req, err := RequestOfRun(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := req.Get("ckpt.path"); got != "models/checkpoints/{run}" {
		t.Errorf("path %q", got)
	}
	if req.Options.Env["OUT"] != "/x/{run}" || req.Options.Args[0] != "--ckpt.path=/y/{run}" {
		t.Errorf("options %+v", req.Options)
	}
	if r.Options.Env["OUT"] != "/x/r-0123456789" || r.Options.Args[0] != "--ckpt.path=/y/r-0123456789" {
		t.Error("the run itself was changed")
	}
	if line := req.CommandLine("default"); strings.Contains(line, "r-0123456789") {
		t.Errorf("the command line names the first run's folders: %s", line)
	}
}
