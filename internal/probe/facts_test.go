package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nvidia"
	"github.com/cotrain/cotrain/internal/nvidia/nvidiatest"
)

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestFactsOfThisMachine(t *testing.T) { //nolint:paralleltest // sets the PATH
	nvidiatest.Install(t, `case $1 in
*temperature*)	echo "GPU-1, A100, 81920, 63" ;;
*ecc*)	echo 3 ;;
*)	exit 2 ;;
esac`)
	dir := t.TempDir()
	f := facts(t.Context(), dir, filepath.Join(dir, "none"), nvidia.Tool{})
	if f.Disk.Error != "" || f.Disk.Write <= 0 || f.Disk.Read <= 0 || f.Disk.Free <= 0 || f.Disk.Total < f.Disk.Free {
		t.Errorf("disk %+v", f.Disk)
	}
	if f.Storage == nil || f.Storage.Error != "no such file or directory" {
		t.Errorf("storage %+v", f.Storage)
	}
	if f.MemoryTotal <= 0 || f.MemoryAvailable <= 0 || len(f.GPUs) != 1 || f.GPUs[0].Memory != 80<<30 || len(f.GPUs[0].Problems) != 1 {
		t.Errorf("%+v", f)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestMainReadsWhatTheJobMakes(t *testing.T) { //nolint:paralleltest // sets the PATH
	nvidiatest.Install(t, "exit 9")
	dir, alloc := t.TempDir(), t.TempDir()
	spec := measure.SpecOf([]measure.Participant{{ID: "n", Site: "a"}})
	spec.Limits.Linger = 0 // nobody comes
	for name, text := range map[string]string{"measure.json": jsonOf(spec), "peers": "\nn ::1 4711\nbad line\nm 10.0.0.1 5\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"NOMAD_TASK_DIR": dir, "NOMAD_ALLOC_DIR": alloc, "COTRAIN_NODE_ID": "n", "NOMAD_META_token": "x", "NOMAD_ADDR_measure": "127.0.0.1:0"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	if code := Main(ctx, func(k string) string { return env[k] }, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	in := measure.NewIntake(measure.Participant{ID: "n"}, []measure.Participant{{ID: "n"}}, time.Now())
	in.Take(stdout.Bytes())
	if !in.Ended || in.Ignored > 0 || !strings.Contains(in.Report.Facts.GPUError, "exit status 9") {
		t.Errorf("%+v of %s", in, stdout.String())
	}
	peers, err := readPeers(filepath.Join(dir, "peers"))
	if err != nil || len(peers) != 2 || peers["n"] != "[::1]:4711" || peers["m"] != "10.0.0.1:5" {
		t.Errorf("%v, %v", peers, err)
	}
	delete(env, "COTRAIN_NODE_ID")
	if code := Main(ctx, func(k string) string { return env[k] }, &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "use cotrain cluster measure") {
		t.Errorf("by hand: exit code %d: %s", code, stderr.String())
	}
}
