package localnomad

import (
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// messages collects what is logged.
type messages struct {
	mu   sync.Mutex
	text strings.Builder
}

func (m *messages) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text.Write(p)
}

// take returns what was logged since the last call.
func (m *messages) take() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.text.Reset()
	return m.text.String()
}

// variable returns an item, or "gone".
func (a *testAgent) variable(path string) (value string) {
	a.s.store.View(func(t *state.Tables) {
		value = "gone"
		if v := t.Vars[path]; v != nil {
			value = v.Items["k"]
		}
	})
	return value
}

func (a *testAgent) putVariable(path, value string) {
	a.t.Helper()
	if body, code := a.do("PUT", "/v1/var/"+path, fmt.Sprintf(`{"Items":{"k":%q}}`, value)); code != 200 {
		a.t.Fatalf("%d %s", code, body)
	}
}

// onDisk lists the agent's files that hold a text.
func (a *testAgent) onDisk(text string) (found []string) {
	a.t.Helper()
	err := filepath.WalkDir(a.opts.DataDir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return found
}

func (a *testAgent) keyFile() string { return filepath.Join(a.opts.DataDir, "variables.key") }

func TestVariablesAreOnDiskEncryptedOnly(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	if _, err := os.Stat(a.keyFile()); err == nil {
		t.Error("there is a key before any variable")
	}
	a.putVariable("cotrain/hub", "s3cret one")
	a.putVariable("cotrain/hub", "s3cret two")
	for range 3 {
		if found := a.onDisk("s3cret"); found != nil {
			t.Fatalf("a value is in %q", found)
		}
		if got := a.variable("cotrain/hub"); got != "s3cret two" {
			t.Fatalf("the variable is %q", got)
		}
		if err := a.s.store.CompactNow(); err != nil {
			t.Fatal(err)
		}
		a.stop()
		a.start()
	}
	if info, err := os.Stat(a.keyFile()); err != nil || info.Mode() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	// In the task's secrets they are plain, as with Nomad.
	job := shellJob("reads", "sleep 600", 1)
	job.TaskGroups[0].Tasks[0].Templates = []*api.Template{{EmbeddedTmpl: new(`{{ with nomadVar "cotrain/hub" }}{{ .k }}{{ end }}`), DestPath: new("secrets/x"), ChangeMode: new("noop")}}
	a.register(job)
	alloc := a.waitAllocs("reads", "running", 1)[0]
	secrets := filepath.Join(a.opts.DataDir, "alloc", alloc.ID, "main", "secrets")
	if found := a.onDisk("s3cret two"); len(found) != 1 || found[0] != filepath.Join(secrets, "x") {
		t.Errorf("a value is in %q", found)
	}
	if info, err := os.Stat(secrets); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
}

func TestVariablesThatEarlierVersionsWrotePlainAreEncrypted(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.stop()
	body := `{"i":5,"r":[{"k":"var","x":{"Path":"a/b","Namespace":"default","Items":{"k":"s3cret"}}}]}`
	line := fmt.Sprintf("%08x %s\n", crc32.ChecksumIEEE([]byte(body)), body)
	if err := os.WriteFile(filepath.Join(a.opts.DataDir, "state", "state.log"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a.start()
		if got, found := a.variable("a/b"), a.onDisk("s3cret"); got != "s3cret" || found != nil {
			t.Errorf("the variable is %q, and its value in %q", got, found)
		}
		a.stop()
	}
	a.start()
}

func TestWithoutTheirKeyVariablesAreMissingAndKept(t *testing.T) {
	t.Parallel()
	logged := &messages{}
	a := startAgent(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(logged, nil)) })
	a.putVariable("old/one", "first")
	a.putVariable("old/two", "second")
	a.stop()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.Rename(a.keyFile(), key); err != nil {
		t.Fatal(err)
	}
	logged.take()
	a.start()
	if told := logged.take(); !strings.Contains(told, a.keyFile()) || !strings.Contains(told, "old/one old/two") {
		t.Errorf("without the key the log says %s", told)
	}
	if got := a.variable("old/one"); got != "gone" {
		t.Errorf("the variable is %q", got)
	}
	a.putVariable("new/one", "third") // by a new key
	if _, code := a.do("DELETE", "/v1/var/old/two", ""); code != 204 {
		t.Errorf("deleting one answers %d", code)
	}
	if err := a.s.store.CompactNow(); err != nil {
		t.Fatal(err)
	}
	a.stop()
	newKey, err := os.ReadFile(a.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(key, a.keyFile()); err != nil {
		t.Fatal(err)
	}
	a.start()
	if one, two, third := a.variable("old/one"), a.variable("old/two"), a.variable("new/one"); one != "first" || two != "gone" || third != "gone" {
		t.Errorf("with the key again there are %q, %q, %q", one, two, third)
	}
	a.stop()
	// Given in the settings, the other key opens the rest, and is from then on the only one.
	a.opts.VariablesKey = strings.TrimSpace(string(newKey))
	a.start()
	a.stop()
	if err := os.Remove(a.keyFile()); err != nil {
		t.Fatal(err)
	}
	logged.take()
	a.start()
	if one, third := a.variable("old/one"), a.variable("new/one"); one != "first" || third != "third" {
		t.Errorf("with the given key there are %q, %q", one, third)
	}
	if told := logged.take(); strings.Contains(told, "another key") {
		t.Errorf("the log says %s", told)
	}
}

func TestAKeyThatCannotBeUsedKeepsVariablesFromBeingStoredAndNothingElse(t *testing.T) {
	t.Parallel()
	a := startAgent(t, nil)
	a.stop()
	if err := os.WriteFile(a.keyFile(), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.start()
	if body, code := a.do("PUT", "/v1/var/a", `{"Items":{"k":"v"}}`); code != 500 || !strings.Contains(body, a.keyFile()+" holds no key") {
		t.Errorf("%d %s", code, body)
	}
	a.register(shellJob("works", "true", 1))
	a.waitAllocs("works", "complete", 1)
	if b, err := os.ReadFile(a.keyFile()); err != nil || string(b) != "short\n" {
		t.Errorf("the file has become %q, %v", b, err)
	}
}
