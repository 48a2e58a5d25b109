package terraform

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func command(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func TestScriptsAreShell(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("modules/*/*.sh")
	if err != nil || len(scripts) < 2 {
		t.Fatalf("scripts are %v, %v", scripts, err)
	}
	// A template is shell as well, once what Terraform puts in is gone.
	text, err := os.ReadFile("modules/machine/machine.sh.tftpl")
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`(?m)^%\{.*\n`).ReplaceAll(text, nil)
	text = regexp.MustCompile(`\$\{[^}]*\}`).ReplaceAll(text, []byte("text"))
	rendered := filepath.Join(t.TempDir(), "machine.sh")
	if err := os.WriteFile(rendered, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, script := range append(scripts, rendered) {
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s", out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), command(t, "shellcheck"), append(scripts, rendered)...).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

// host is a machine on which cotrain-cluster runs, with its folders below a temporary one.
type host struct{ dir string }

func newHost(t *testing.T, roles string) host {
	t.Helper()
	h := host{t.TempDir()}
	program, err := os.ReadFile("modules/machine/cotrain-cluster.sh")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("=/etc/cotrain-cluster", "="+h.dir+"/etc", "=/var/lib/cotrain-cluster", "="+h.dir+"/state").Replace(string(program))
	for name, content := range map[string]string{
		"cotrain-cluster": text,
		"bin/systemctl":   "#!/bin/sh\n",
		"bin/nomad":       "#!/bin/sh\necho introduced \"$@\"\n",
		"etc/machine.env": "ROLES='" + roles + "'\nMACHINE=m\nADDRESS=10.0.0.1\nREGION=global\nCLUSTER=test\nCONSUL_DATACENTER=dc1\nNODE_POOL=default\nINTRO_TTL=30m\nCERTIFICATE_DAYS=30\nKEYS_GET=\nKEYS_PUT=\nINTERRUPTED=\n",
		"state/.keep":     "",
	} {
		path := filepath.Join(h.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil { //nolint:gosec // some are run
			t.Fatal(err)
		}
	}
	return h
}

func (h host) run(t *testing.T, in []byte, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{filepath.Join(h.dir, "cotrain-cluster")}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(h.dir, "bin")+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(string(in))
	return cmd.Output()
}

func (h host) key(name string) string {
	text, err := os.ReadFile(filepath.Join(h.dir, "etc/keys", name))
	if err != nil {
		return ""
	}
	return string(text)
}

func TestKeysAreMadeOnceAndShared(t *testing.T) {
	t.Parallel()
	command(t, "openssl")
	first, second := newHost(t, ""), newHost(t, "")
	if _, err := first.run(t, nil, "joined"); err == nil {
		t.Error("a new machine has keys")
	}
	if _, err := first.run(t, nil, "share"); err == nil {
		t.Error("a machine without keys shares them")
	}
	for range 2 {
		before := first.key("ca.pem")
		if _, err := first.run(t, nil, "init"); err != nil {
			t.Fatal(err)
		}
		if before != "" && before != first.key("ca.pem") {
			t.Error("a second init makes another authority")
		}
	}
	entries, err := os.ReadDir(filepath.Join(first.dir, "etc/keys"))
	if err != nil || len(entries) < 8 {
		t.Fatalf("keys are %v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	keys, err := first.run(t, nil, "share")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := second.run(t, keys, "join"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, e := range entries {
		if name := e.Name(); name != "begun" && (second.key(name) == "" || second.key(name) != first.key(name)) {
			t.Errorf("%s differs on the second server", name)
		}
	}
	// Only where the cluster began is Vault initialised.
	if _, err := os.Stat(filepath.Join(second.dir, "etc/keys/begun")); err == nil {
		t.Error("the second server thinks that the cluster began there")
	}
	if _, err := second.run(t, []byte("rubbish"), "join"); err == nil || second.key("ca.pem") != first.key("ca.pem") {
		t.Error("rubbish takes the place of keys")
	}
}

func TestANodeIsAdmittedWithACertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	command(t, "openssl")
	server, node := newHost(t, "nomad-server"), newHost(t, "")
	if _, err := server.run(t, nil, "admit", "gpu-1"); err == nil {
		t.Error("a machine without keys admits a node")
	}
	if _, err := server.run(t, nil, "init"); err != nil {
		t.Fatal(err)
	}
	keys, err := server.run(t, nil, "admit", "gpu-1", "gpu")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := node.run(t, keys, "join"); err != nil {
		t.Fatal(err)
	}
	if node.key("ca-key.pem") != "" || node.key("nomad-management") != "" || node.key("nomad-gossip") != "" {
		t.Error("a node has what is the servers'")
	}
	if got := node.key("intro-token"); !strings.Contains(got, "-node-name=gpu-1 -node-pool=gpu -ttl=30m") {
		t.Errorf("it was introduced by %q", got)
	}
	block, _ := pem.Decode([]byte(node.key("client.pem")))
	roots := x509.NewCertPool()
	if block == nil || !roots.AppendCertsFromPEM([]byte(server.key("ca.pem"))) {
		t.Fatalf("certificate %q", node.key("client.pem"))
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: "client.global.nomad", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if slices.Contains(certificate.DNSNames, "server.global.nomad") || certificate.IsCA {
		t.Errorf("a node could pass for a server: %v", certificate.DNSNames)
	}
}

func TestACommandThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	for _, args := range [][]string{{}, {"stored_keys"}, {"unpack"}} {
		if _, err := h.run(t, nil, args...); err == nil {
			t.Errorf("%v is a command", args)
		}
	}
}
