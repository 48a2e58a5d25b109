package jobs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// again starts a worker several times in one allocation and returns what the last start did.
func again(t *testing.T, l launch, starts int) outcome {
	t.Helper()
	l.dir = t.TempDir()
	var o outcome
	for range starts {
		if o, _ = l.run(t); o.code != 0 {
			t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
	}
	return o
}

const recovery = "--ckpt.live_recovery_rank_src"

func TestLaunchMakesARestartedWorkerAJoiner(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		for _, c := range []struct {
			name   string
			toml   string
			env    map[string]string
			starts int
			joins  bool
			id     string
		}{
			{"the first start", withDiLoCo, nil, 1, false, "3f0d2a5e-alloc"},
			{"the second start", withDiLoCo, nil, 2, true, "3f0d2a5e-alloc-1"},
			{"the third start", withDiLoCo, nil, 3, true, "3f0d2a5e-alloc-2"},
			{"worker 0 makes a new mesh", withDiLoCo, map[string]string{"NOMAD_ALLOC_INDEX": "0"}, 2, false, "3f0d2a5e-alloc-1"},
			{"without DiLoCo nobody joins", "", nil, 2, false, "3f0d2a5e-alloc-1"},
		} {
			l := started(shell, c.env)
			l.toml = c.toml
			o := again(t, l, c.starts)
			i := slices.Index(o.args, recovery)
			if joins := i >= 0; joins != c.joins || joins && o.args[i+1] != "0" || (o.event("joining") != nil) != c.joins {
				t.Errorf("%s: arguments %q", c.name, o.args)
			}
			if o.env["GLOBAL_UNIQUE_ID"] != c.id {
				t.Errorf("%s: identity %q, want %q", c.name, o.env["GLOBAL_UNIQUE_ID"], c.id)
			}
		}
	})
}

func TestLaunchDoesNotCountAStartThatFoundNoWorker0(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := launch{shell: "sh", toml: withDiLoCo, args: []string{"trainer"}, dir: dir, env: map[string]string{"COTRAIN_RENDEZVOUS_TIMEOUT": "0"}}
	if o, _ := l.run(t); o.code != 75 {
		t.Fatalf("exit code %d", o.code)
	}
	l.addr = "127.0.0.9 25000\n"
	if o, _ := l.run(t); o.code != 0 || slices.Contains(o.args, recovery) {
		t.Errorf("exit code %d, arguments %q", o.code, o.args)
	}
}

func TestLaunchMakesAReplacementAJoiner(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		storage := t.TempDir()
		if err := os.MkdirAll(filepath.Join(storage, "logs", "system"), 0o755); err != nil {
			t.Fatal(err)
		}
		start := func(env map[string]string) outcome {
			l := started(shell, map[string]string{"COTRAIN_STORAGE": storage})
			for k, v := range env {
				l.env[k] = v
			}
			l.toml = withDiLoCo
			o, _ := l.run(t)
			if o.code != 0 {
				t.Fatalf("exit code %d\n%s", o.code, o.stderr)
			}
			return o
		}
		if o := start(nil); slices.Contains(o.args, recovery) {
			t.Errorf("the first start: %q", o.args)
		}
		// Another allocation, with another folder, in the place of the first.
		if o := start(map[string]string{"NOMAD_ALLOC_ID": "second"}); !slices.Contains(o.args, recovery) || o.env["GLOBAL_UNIQUE_ID"] != "second" {
			t.Errorf("a replacement: %q, %v", o.args, o.env)
		}
		for name, env := range map[string]map[string]string{
			"another worker": {"NOMAD_ALLOC_INDEX": "2"}, "another attempt": {"NOMAD_META_attempt": "2"}, "another run": {"NOMAD_META_run_id": "r-1111111111"},
			"a run with an odd name": {"NOMAD_META_run_id": "../../x"},
		} {
			if o := start(env); slices.Contains(o.args, recovery) {
				t.Errorf("%s: %q", name, o.args)
			}
		}
		files, err := os.ReadDir(filepath.Join(storage, "logs", "system"))
		if err != nil || len(files) != 5 {
			t.Errorf("the log of starts holds %v, %v", files, err)
		}
	})
}

func TestLaunchResumesFromTheWorkersOwnPart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		root := t.TempDir()
		for _, dir := range []string{"own/worker_1/step_10", "own/worker_0/step_10", "first/worker_0/step_10", "flat/step_10", "both/step_10", "both/worker_1/step_10"} {
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			resume, want, toml string
			env                map[string]string
		}{
			{resume: "own/step_10", want: "own/worker_1/step_10"},
			{resume: "own/worker_0/step_10", want: "own/worker_1/step_10"},
			{resume: "own/worker_1/step_10/", want: "own/worker_1/step_10"},
			{resume: "own/worker_12/step_10", want: "own/worker_1/step_10"},
			{resume: "first/step_10", want: "first/worker_0/step_10"},
			{resume: "first/worker_0/step_10", want: "first/worker_0/step_10"},
			{resume: "flat/step_10", want: "flat/step_10"},
			{resume: "both/step_10", want: "both/worker_1/step_10"},
			{resume: "gone/step_10", want: "gone/step_10"},
			{resume: "own/step_10", want: "own/step_10", toml: "x = 1\n"},
			{resume: "own/step_10", want: "own/step_10", env: map[string]string{"COTRAIN_NODES": "1"}},
		} {
			for _, base := range []string{"", root + "/"} { // relative to the storage, and absolute
				l := started(shell, map[string]string{"COTRAIN_STORAGE": root, "NOMAD_META_resume": base + c.resume, "NOMAD_META_ckpt_path": base + "own"})
				for k, v := range c.env {
					l.env[k] = v
				}
				if l.toml = c.toml; l.toml == "" {
					l.toml = withDiLoCo
				}
				o, _ := l.run(t)
				want := []string{"--ckpt.resume", base + c.want}
				if c.toml == "" && c.env == nil {
					want = append([]string{"--data.data_rank", "1", "--data.data_world_size", "3", "--ckpt.path", base + "own/worker_1"}, want...)
				}
				if o.code != 0 || !slices.Equal(o.args[1:], want) {
					t.Errorf("%s%s: exit code %d, %s", base, c.resume, o.code, cmp.Diff(want, o.args[1:]))
				}
			}
		}
	})
}

func TestLaunchLetsAJoinerGoWithoutACheckpointThatIsGone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, exists := range []bool{false, true} {
		l := started("sh", map[string]string{"NOMAD_META_resume": root + "/step_5"})
		l.toml = withDiLoCo
		o := again(t, l, 2)
		if got := slices.Contains(o.args, "--ckpt.resume"); got != exists || !slices.Contains(o.args, recovery) {
			t.Errorf("with the checkpoint there (%v): %s", exists, strings.Join(o.args, " "))
		}
		if err := os.MkdirAll(root+"/step_5", 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
