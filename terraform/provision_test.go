package terraform

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeSSH stands for ssh and all machines: each has a script and keys, or is away.
const fakeSSH = `#!/bin/sh
host=$1
shift
echo "$host $*" >>"$STATE/log"
[ ! -e "$STATE/$host.away" ] || exit 255
case "$*" in
sh) cat >"$STATE/$host.script" ;;
"test -x "*) [ -e "$STATE/$host.script" ] ;;
*" joined") [ -e "$STATE/$host.keys" ] ;;
*" init") echo "secret of $host" >"$STATE/$host.keys" ;;
*" share") cat "$STATE/$host.keys" ;;
*" admit "*) [ -e "$STATE/$host.keys" ] && echo "secret for $*" ;;
*" join") cat >"$STATE/$host.keys" ;;
esac
`

// machines are what fakeSSH knows.
type machines struct{ dir string }

func newMachines(t *testing.T, have map[string]string) machines {
	t.Helper()
	m := machines{t.TempDir()}
	have["ssh"] = fakeSSH
	for name, text := range have {
		if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	return m
}

func (m machines) file(name string) string {
	text, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		return ""
	}
	return string(text)
}

// provision runs the script for one of them; what it prints has no secret.
func (m machines) provision(t *testing.T, env ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "modules/machine/provision.sh")
	cmd.Env = append(os.Environ(), "STATE="+m.dir, "SSH="+filepath.Join(m.dir, "ssh"), "BECOME=", "PEERS=s1 s2 s3", "NAME=it", "POOL=gpu", "FIRST=0", "ROLE=server", "SCRIPT=script")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "secret") {
		t.Errorf("it prints keys: %s", out)
	}
	t.Logf("%s", out)
	return err
}

func TestTheFirstServerBeginsACluster(t *testing.T) {
	t.Parallel()
	m := newMachines(t, map[string]string{})
	if err := m.provision(t, "TARGET=s1", "FIRST=1"); err != nil || m.file("s1.keys") != "secret of s1\n" || m.file("s1.script") != "script\n" {
		t.Errorf("%v, script %q, keys %q", err, m.file("s1.script"), m.file("s1.keys"))
	}
	if err := m.provision(t, "TARGET=s2"); err != nil || m.file("s2.keys") != "secret of s1\n" {
		t.Errorf("the second has %q, %v", m.file("s2.keys"), err)
	}
}

func TestAFirstServerThatWasLostGetsTheKeysOfTheOthers(t *testing.T) {
	t.Parallel()
	m := newMachines(t, map[string]string{"s3.keys": "secret of s1\n"})
	if err := m.provision(t, "TARGET=s1", "FIRST=1"); err != nil || m.file("s1.keys") != "secret of s1\n" || strings.Contains(m.file("log"), "init") {
		t.Errorf("%v, keys %q\n%s", err, m.file("s1.keys"), m.file("log"))
	}
}

func TestNoClusterBeginsWhileAServerIsAway(t *testing.T) {
	t.Parallel()
	m := newMachines(t, map[string]string{"s2.away": ""})
	if err := m.provision(t, "TARGET=s1", "FIRST=1"); err == nil || m.file("s1.keys") != "" {
		t.Errorf("%v, keys %q: there may be a cluster that the lost server belongs to", err, m.file("s1.keys"))
	}
}

func TestANodeIsAdmittedByAnyServer(t *testing.T) {
	t.Parallel()
	m := newMachines(t, map[string]string{"s1.away": "", "s2.keys": "secret of s1\n"})
	if err := m.provision(t, "TARGET=g1", "ROLE=node"); err != nil || !strings.Contains(m.file("g1.keys"), "admit it gpu") {
		t.Errorf("%v, keys %q", err, m.file("g1.keys"))
	}
}

func TestAMachineWithKeysKeepsThem(t *testing.T) {
	t.Parallel()
	m := newMachines(t, map[string]string{"g1.keys": "mine\n", "s1.keys": "secret\n"})
	if err := m.provision(t, "TARGET=g1", "ROLE=node"); err != nil || m.file("g1.keys") != "mine\n" || m.file("g1.script") == "" {
		t.Errorf("%v, keys %q", err, m.file("g1.keys"))
	}
}

func TestAMachineIsRetired(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		have   map[string]string
		called bool
	}{
		"that works":             {map[string]string{"g1.script": "script"}, true},
		"that is away":           {map[string]string{"g1.away": "", "g1.script": "script"}, false},
		"that was installed new": {map[string]string{}, false},
	} {
		m := newMachines(t, c.have)
		if err := m.provision(t, "TARGET=g1", "SCRIPT="); err != nil || strings.Contains(m.file("log"), " retire") != c.called {
			t.Errorf("one %s: %v\n%s", name, err, m.file("log"))
		}
	}
}
