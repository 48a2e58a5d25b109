package jobs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/trainconf"
)

// started is a launch of the fake trainer on a worker that has found worker 0.
func started(shell string, env map[string]string) launch {
	return launch{shell: shell, addr: "127.0.0.9 25000\n", args: []string{"trainer"}, env: env}
}

// messages returns what the events of a name say.
func (o outcome) messages(name string) (out []string) {
	for _, e := range o.events {
		if e["name"] == name {
			out = append(out, e["message"].(string))
		}
	}
	return out
}

func TestLaunchPassesOnWhatTheRunSets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		o, l := started(shell, map[string]string{
			"NOMAD_META_env": "MY_PLAIN=1\nMY_TRICKY=a \"b\" 'c' $(touch DIR/evaluated) `touch DIR/evaluated` $HOME \\n ${x} = ; # é\n" +
				"MY_EMPTY=\nPYTHONPATH=/my/lib\nGLOO_SOCKET_IFNAME=eth3\nct=2\nZERO_BAND_OPTIM_OPTIM_LR=1e-3",
			"NOMAD_META_args": "--train.micro_bs\n4\n--project\nit's \"mine\" $HOME `id` *",
		}).run(t)
		if o.code != 0 {
			t.Fatalf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
		}
		if matches, _ := filepath.Glob(filepath.Join(l.dir, "evaluated")); len(matches) > 0 {
			t.Error("a value of the run was evaluated")
		}
		tricky := "a \"b\" 'c' $(touch " + l.dir + "/evaluated) `touch " + l.dir + "/evaluated` $HOME \\n ${x} = ; # é"
		for name, want := range map[string]string{
			"MY_PLAIN": "1", "MY_TRICKY": tricky, "MY_EMPTY": "", "PYTHONPATH": filepath.Join(l.dir, "shim") + ":/my/lib",
			"GLOO_SOCKET_IFNAME": "eth3", "ZERO_BAND_OPTIM_OPTIM_LR": "1e-3",
		} {
			if got, ok := o.env[name]; !ok || got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		want := []string{"@" + filepath.Join(l.dir, "config.toml"), "--train.micro_bs", "4", "--project", "it's \"mine\" $HOME `id` *"}
		if d := cmp.Diff(want, o.args); d != "" {
			t.Error(d)
		}
		said, _ := o.event("launch")["env"].(map[string]any)
		if said["MY_TRICKY"] != tricky || said["ZERO_BAND_OPTIM_OPTIM_LR"] != "1e-3" {
			t.Errorf("the event tells of %v", said)
		}
		if m := o.messages("env_dropped"); len(m) > 0 {
			t.Errorf("dropped: %q", m)
		}
	})
}

func TestLaunchDropsWhatTheRunMayNotSet(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		o, l := started(shell, map[string]string{"NOMAD_META_env": "GLOBAL_RANK=7\nNOMAD_ALLOC_ID=x\nCOTRAIN_NODES=9\nct_rank=5\nIFS=/\n" +
			"1BAD=x\nBAD-NAME=x\nBÄD=x\n=x\nno value\nMY_GOOD=kept\nPPID=1"}).run(t)
		if o.code != 0 || o.env["GLOBAL_RANK"] != "1" || o.env["GLOBAL_UNIQUE_ID"] != "3f0d2a5e-alloc" || o.env["GLOBAL_WORLD_SIZE"] != "3" || o.env["MY_GOOD"] != "kept" {
			t.Errorf("exit code %d, environment %v\n%s", o.code, o.env, o.stderr)
		}
		if m := o.messages("env_dropped"); len(m) < 10 {
			t.Errorf("dropped: %q", m)
		}
		if o.args[0] != "@"+filepath.Join(l.dir, "config.toml") {
			t.Errorf("arguments are %q", o.args)
		}
	})
}

func TestLaunchKeepsVariablesAwayThatTheCoreDoesNotKnow(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		o, _ := started(shell, map[string]string{
			"ZERO_BAND_DEV": "1", "ZERO_BAND_GLOBAL_PG_TIMEOUT_SECONDS": "600", "ZERO_BAND_TRAIN_MICRO_BS": "2", "ZERO_BAND_": "x", "ZERO_BAND_optim_batch_size": "1",
			"MY_LINES": "first\nZERO_BAND_INSIDE=a value", "NOMAD_META_env": "ZERO_BAND_FROM_RUN=1\nZERO_BAND_LOG_LEVEL=DEBUG",
		}).run(t)
		var names []string
		for name := range o.env {
			if strings.HasPrefix(name, "ZERO_BAND_") {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		// The fake trainer prints values as they are: the second line of MY_LINES looks like a variable to this test.
		if want := []string{"ZERO_BAND_INSIDE", "ZERO_BAND_LOG_LEVEL", "ZERO_BAND_TRAIN_MICRO_BS"}; o.code != 0 || !slices.Equal(names, want) {
			t.Errorf("exit code %d, the trainer gets %q, want %q\n%s", o.code, names, want, o.stderr)
		}
		dropped := strings.Join(o.messages("env_dropped"), "\n")
		for _, name := range []string{"ZERO_BAND_DEV", "ZERO_BAND_GLOBAL_PG_TIMEOUT_SECONDS", "ZERO_BAND_ is", "ZERO_BAND_optim_batch_size", "ZERO_BAND_FROM_RUN"} {
			if !strings.Contains(dropped, name) {
				t.Errorf("no event tells of %s: %s", name, dropped)
			}
		}
		if strings.Contains(dropped, "ZERO_BAND_INSIDE") {
			t.Errorf("a line of a value was taken for a variable: %s", dropped)
		}
		if said, _ := o.event("launch")["env"].(map[string]any); said["ZERO_BAND_FROM_RUN"] != nil || said["ZERO_BAND_LOG_LEVEL"] != "DEBUG" {
			t.Errorf("the event tells of %v", said)
		}
	})
}

func TestLaunchGivesEachWorkerItsOwnDespiteTheEnvironment(t *testing.T) {
	t.Parallel()
	l := started("sh", map[string]string{
		"ZERO_BAND_DATA_DATA_RANK": "0", "ZERO_BAND_DATA_DATA_WORLD_SIZE": "1", "ZERO_BAND_CKPT_PATH": "/all", "ZERO_BAND_CKPT_RESUME": "/all/step_1",
		"NOMAD_META_ckpt_path": "/all/", "NOMAD_META_resume": "/all/step_2",
	})
	l.toml = withDiLoCo
	o, _ := l.run(t)
	for name := range o.env {
		if strings.HasPrefix(name, "ZERO_BAND_") {
			t.Errorf("%s would win over the flag", name)
		}
	}
	want := []string{"--data.data_rank", "1", "--data.data_world_size", "3", "--ckpt.path", "/all/worker_1", "--ckpt.resume", "/all/step_2"}
	if d := cmp.Diff(want, o.args[1:]); d != "" {
		t.Error(d)
	}
}

func TestLaunchKnowsTheSchemaOfTheCore(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`(?s)\nct_known='\n(.*?)'\n`).FindStringSubmatch(LaunchScript)
	if m == nil {
		t.Fatal("the script has no list of known variables")
	}
	got := strings.Fields(m[1])
	var want []string
	for _, f := range trainconf.Fields() {
		want = append(want, strings.TrimPrefix(trainconf.EnvName(f.Path), "ZERO_BAND_"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ct_known of launch.sh and the schema differ: %s", d)
	}
}

func TestLaunchEndsWithAReasonWithoutTheSecretsThatTheRunNames(t *testing.T) {
	t.Parallel()
	o, _ := started("sh", map[string]string{"NOMAD_META_secrets": "nomad/jobs/hub", "COTRAIN_SECRETS_MISSING": "secret/hub in Vault has no field \"token\""}).run(t)
	if e := o.event("secrets_missing"); o.code != 78 || e == nil || e["level"] != "error" || e["message"] != `the run does not get its secrets: secret/hub in Vault has no field "token"` {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	o, _ = started("sh", map[string]string{"NOMAD_META_secrets": "nomad/jobs/hub", "MY_TOKEN": "s3cret"}).run(t)
	if o.code != 0 || o.env["MY_TOKEN"] != "s3cret" || strings.Contains(strings.Join(o.messages("launch"), ""), "s3cret") {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	dir := t.TempDir()
	l := started("sh", map[string]string{"NOMAD_SECRETS_DIR": dir, "NOMAD_META_env": "MY_TOKEN=mine"})
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "run.sh"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	value := "'$(exit 3) \"`\\ s3cret"
	write("\nexport MY_KEY='" + strings.ReplaceAll(value, "'", `'\''`) + "'\nexport MY_TOKEN='x'\nCOTRAIN_SECRETS_MISSING=''\n")
	o, _ = l.run(t)
	if _, missing := o.env["COTRAIN_SECRETS_MISSING"]; o.code != 0 || o.env["MY_KEY"] != value || o.env["MY_TOKEN"] != "mine" || missing || strings.Contains(strings.Join(o.messages("launch"), ""), "s3cret") {
		t.Errorf("exit code %d, %q: %s", o.code, o.env["MY_KEY"], o.stdout)
	}
	write("COTRAIN_SECRETS_MISSING='it is gone'\n")
	if o, _ := l.run(t); o.code != 78 || o.event("secrets_missing")["message"] != "the run does not get its secrets: it is gone" {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	write("export UNEXPECTED='\n")
	if o, _ := l.run(t); o.code != 78 || !strings.Contains(fmt.Sprint(o.event("secrets_missing")["message"]), "cannot read "+dir) {
		t.Errorf("exit code %d: %s", o.code, o.stdout)
	}
	for _, e := range o.events {
		if strings.Contains(cmp.Diff(nil, e), "s3cret") {
			t.Errorf("an event tells a secret: %v", e)
		}
	}
}

func TestLaunchNamesManyVariablesWithoutTheirValues(t *testing.T) {
	t.Parallel()
	o, _ := started("sh", map[string]string{"NOMAD_META_env": "MY_A=" + strings.Repeat("x", 20000)}).run(t)
	if said, _ := o.event("launch")["env"].(map[string]any); len(o.env["MY_A"]) != 20000 || said["MY_A"] != "..." || said["GLOBAL_RANK"] != "..." {
		t.Errorf("the event tells of %.300v", said)
	}
}

func TestLaunchStartsInSharedStorageAndFindsTheTrainerInItsFolder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, shell string) {
		real, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		work, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := started(shell, map[string]string{"COTRAIN_STORAGE": real}).run(t); o.pwd != real {
			t.Errorf("started in %q, want the storage %q", o.pwd, real)
		}
		if o, _ := started(shell, map[string]string{"COTRAIN_WORK_DIR": work}).run(t); o.pwd != work {
			t.Errorf("without storage started in %q, want %q", o.pwd, work)
		}
		write(t, filepath.Join(work, "train.py"), "", 0o644)
		write(t, filepath.Join(work, "has.it"), "", 0o644)
		both := map[string]string{"COTRAIN_STORAGE": real, "COTRAIN_WORK_DIR": work + "/", "PYTHONPATH": "/opt/lib"}
		l := started(shell, both)
		l.args = append(l.args, "train.py", "other.py", "-has.it", "/abs/has.it", "a b")
		o, l := l.run(t)
		if o.pwd != real || o.env["PYTHONPATH"] != filepath.Join(l.dir, "shim")+":/opt/lib:"+work {
			t.Errorf("started in %q, want the storage %q; PYTHONPATH is %s", o.pwd, real, o.env["PYTHONPATH"])
		}
		if want := []string{work + "/train.py", "other.py", "-has.it", "/abs/has.it", "a b"}; !slices.Equal(o.args[:min(5, len(o.args))], want) {
			t.Errorf("arguments are %q, want %q first", o.args, want)
		}
		if o, _ := started(shell, map[string]string{"COTRAIN_STORAGE": real, "COTRAIN_WORK_DIR": "/no/such/dir"}).run(t); o.code != 78 || o.event("work_dir_missing") == nil {
			t.Errorf("exit code %d: %s", o.code, o.stdout)
		}
		if o, _ := started(shell, map[string]string{"COTRAIN_STORAGE": "/no/such/storage"}).run(t); o.code != 78 || o.event("storage_missing") == nil {
			t.Errorf("exit code %d: %s", o.code, o.stdout)
		}
	})
}
