package conformance

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// putVariable stores a Nomad variable for the time of the test.
func (b *bench) putVariable(path string, items map[string]string) {
	b.Helper()
	if r := b.raw("PUT", "/v1/var/"+path, map[string]any{"Path": path, "Items": items}); r.Code != 200 {
		b.Fatalf("store variable %s: %d %s", path, r.Code, r.Body)
	}
	b.Cleanup(func() {
		if r := b.raw("DELETE", "/v1/var/"+path, nil); r.Code != 204 {
			b.Errorf("delete variable %s: %d %s", path, r.Code, r.Body)
		}
	})
}

// trickySecrets are values that break where something quotes or evaluates wrongly.
var trickySecrets = map[string]string{
	"MY_PLAIN": "hf_abc123", "MY_LINES": "-----BEGIN KEY-----\nline two\r\n\ttabbed\n-----END KEY-----\n", "MY_QUOTES": `a "b" 'c' \n \\ $HOME ${x} $(id) %{y}`,
	"MY_SIGNS": ` # = ; & < > {{ env "HOME" }} `, "MY_TEXT": "é 漢 \u2028 \U0001F600", "MY_EMPTY": "", "MY_CONTROL": "a\x01b\x7fc",
}

func testSecrets(t *testing.T, target Target) {
	script := ""
	for name := range trickySecrets {
		script += fmt.Sprintf("printf '%%s' \"$%s\" | base64 | tr -d '\\n' | sed 's/^/%s:/'; echo\n", name, name)
	}
	script += "echo done\n"
	path := func(b *bench) string { return "cotrain-conformance/" + strings.ToLower(b.shape.Hash()) }

	t.Run("every item is environment of the task, as it is", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), trickySecrets)
		d := b.attempt(script)
		d.Secrets = path(b)
		parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
		if err != nil {
			t.Fatal(err)
		}
		b.track(parent, child)
		w := b.ended(child)
		text := b.printed(w.AllocID, "stdout", "done\n")
		for name, want := range trickySecrets {
			line := name + ":" + base64.StdEncoding.EncodeToString([]byte(want)) + "\n"
			if want == "" {
				line = "\n" // base64 of nothing is no line for sed
			}
			if !strings.Contains("\n"+text, "\n"+line) {
				t.Errorf("%s is not what was stored; printed %q", name, text)
			}
		}
		// The values are nowhere but in the task.
		job := b.raw("GET", "/v1/job/"+url.PathEscape(child), nil)
		launch, err := b.client.Launch(b.context(), b.shape, d)
		if err != nil || strings.Contains(job.Body, trickySecrets["MY_PLAIN"]) || strings.Contains(fmt.Sprintf("%+v", launch), trickySecrets["MY_PLAIN"]) || strings.Contains(strings.Split(text, "MY_")[0], trickySecrets["MY_PLAIN"]) {
			t.Errorf("a secret is shown, or %v", err)
		}
	})
	t.Run("a variable that is not there ends the run with a reason", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		d := b.attempt(script)
		d.Secrets = path(b)
		parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
		if err != nil {
			t.Fatal(err)
		}
		b.track(parent, child)
		w := b.ended(child)
		text := b.printed(w.AllocID, "stdout", "secrets_missing")
		if w.State != run.WorkerFailed || w.ExitCode != 78 || !strings.Contains(text, path(b)) || strings.Contains(text, "done\n") {
			t.Errorf("worker is %+v, printed %q", w, text)
		}
	})
	t.Run("an item that no environment can hold fails the task with Nomad's words", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), map[string]string{"GOOD": "1", "bad-name": "2"})
		d := b.attempt(script)
		d.Secrets = path(b)
		parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
		if err != nil {
			t.Fatal(err)
		}
		b.track(parent, child)
		w := b.workers(child, 1, "the failure", func(w run.Worker) bool { return w.State.Terminal() })[0]
		if w.State != run.WorkerFailed || w.Started || !strings.Contains(w.Detail, "Template failed to read environment variables: error parsing env template") {
			t.Errorf("worker is %+v", w)
		}
	})
	t.Run("without any nothing is looked up", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		w := b.ended(b.dispatch(script))
		if text := b.printed(w.AllocID, "stdout", "done\n"); !w.OK() || strings.Contains(text, "secrets_missing") {
			t.Errorf("worker is %+v, printed %q", w, text)
		}
	})
}
