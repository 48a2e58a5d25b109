package conformance

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// putVariable stores a Nomad variable for the time of the test.
func (b *bench) putVariable(path string, items map[string]string) {
	b.Helper()
	if r := b.operator("PUT", "/v1/var/"+path, map[string]any{"Path": path, "Items": items}); r.Code != 200 {
		b.Fatalf("store variable %s: %d %s", path, r.Code, r.Body)
	}
	b.Cleanup(func() {
		if r := b.operator("DELETE", "/v1/var/"+path, nil); r.Code != 204 {
			b.Errorf("delete variable %s: %d %s", path, r.Code, r.Body)
		}
	})
}

// itemsAre checks what is in a variable.
func (b *bench) itemsAre(path string, want map[string]string) {
	b.Helper()
	if got := decode[api.Variable](b, b.operator("GET", "/v1/var/"+path, nil)).Items; !maps.Equal(map[string]string(got), want) {
		b.Errorf("variable %s has %v, want %v", path, got, want)
	}
}

// trickySecrets are values that break where something quotes or evaluates wrongly.
var trickySecrets = map[string]string{
	"MY_PLAIN": "hf_abc123", "MY_LINES": "-----BEGIN KEY-----\nline two\r\n\ttabbed\n-----END KEY-----\n", "MY_QUOTES": `a "b" 'c' \n \\ $HOME ${x} $(id) %{y}`,
	"MY_SIGNS": ` # = ; & < > {{ env "HOME" }} `, "MY_TEXT": "é 漢 \u2028 \U0001F600", "MY_EMPTY": "", "MY_CONTROL": "a\x01b\x7fc",
}

// tellEnv is a script that prints variables so that nothing of their values is changed or in the logs as it is.
func tellEnv(names ...string) string {
	script := ""
	for _, name := range names {
		script += fmt.Sprintf("printf '%%s:' %s; printf '%%s' \"${%s-unset}\" | base64 | tr -d '\\n'; echo\n", name, name)
	}
	return script + "echo done\n"
}

// secretly runs a script with secrets and returns what it printed and how it ended.
func (b *bench) secretly(script string, refs ...run.SecretRef) (run.Worker, string) {
	b.Helper()
	child, _ := b.dispatchWith(script, refs...)
	w := b.ended(child)
	return w, b.printed(w.AllocID, "stdout", "\n")
}

// dispatchWith starts a script with secrets and returns the child, and all that Nomad and the console say of it.
func (b *bench) dispatchWith(script string, refs ...run.SecretRef) (child string, told func() string) {
	b.Helper()
	d := b.attempt(script)
	d.Secrets = refs
	parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
	b.track(parent, child)
	if err != nil {
		b.Fatalf("dispatch: %v", err)
	}
	return child, func() string {
		job := b.raw("GET", "/v1/job/"+url.PathEscape(child), nil)
		allocs := b.raw("GET", "/v1/allocations?resources=true&filter="+url.QueryEscape(fmt.Sprintf("JobID == %q", child)), nil)
		if job.Code != 200 || allocs.Code != 200 || len(decode[[]any](b, allocs)) == 0 {
			b.Errorf("answers are %d and %d: %s", job.Code, allocs.Code, allocs.Body)
		}
		launch, err := b.client.Launch(b.context(), b.shape, d)
		return fmt.Sprintf("%s%s%+v%v", job.Body, allocs.Body, launch, err)
	}
}

// has asserts what tellEnv printed.
func (b *bench) has(text string, want map[string]string) {
	b.Helper()
	for name, value := range want {
		if line := name + ":" + base64.StdEncoding.EncodeToString([]byte(value)) + "\n"; !strings.Contains("\n"+text, "\n"+line) {
			b.Errorf("%s is not %.99q; printed %.9999q", name, value, text)
		}
	}
}

// refused asserts that the launch script ended with reasons instead of starting the trainer.
func (b *bench) refused(w run.Worker, text string, reasons ...string) {
	b.Helper()
	if w.State != run.WorkerFailed || w.ExitCode != 78 || !strings.Contains(text, "secrets_missing") || strings.Contains(text, "done\n") {
		b.Errorf("worker is %+v, printed %.9999q", w, text)
	}
	for _, reason := range reasons {
		if !strings.Contains(text, reason) {
			b.Errorf("%q is not said; printed %.9999q", reason, text)
		}
	}
}

func testSecrets(t *testing.T, target Target) {
	path := func(b *bench) string { return "cotrain/conformance-" + strings.ToLower(b.shape.Hash()) }
	whole := func(path string) run.SecretRef { return run.SecretRef{In: run.InNomad, Path: path} }
	names := slices.Sorted(maps.Keys(trickySecrets))

	t.Run("every item is environment of the task, as it is", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), trickySecrets)
		child, told := b.dispatchWith(tellEnv(names...), whole(path(b)))
		w := b.ended(child)
		text := b.printed(w.AllocID, "stdout", "done\n")
		b.has(text, trickySecrets)
		// The values are nowhere but in the task.
		if all := told() + text; strings.Contains(all, trickySecrets["MY_PLAIN"]) {
			t.Errorf("a secret is shown in %s", all)
		}
	})
	t.Run("a list names fields of several variables", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), map[string]string{"token": "hub-token", "other": "x", "MY_NO": "1"})
		b.putVariable(path(b)+"/more", trickySecrets)
		w, text := b.secretly(tellEnv(append(names, "HF_TOKEN", "token", "other", "MY_NO")...), run.SecretRef{Env: "HF_TOKEN", In: run.InNomad, Path: path(b), Field: "token"}, whole(path(b)+"/more"))
		if !w.OK() {
			t.Errorf("worker is %+v", w)
		}
		b.has(text, trickySecrets)
		b.has(text, map[string]string{"HF_TOKEN": "hub-token", "token": "unset", "other": "unset", "MY_NO": "unset"})
	})
	t.Run("what is not there ends the run with all reasons", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), map[string]string{"token": "x"})
		w, text := b.secretly(tellEnv(), whole(path(b)+"/gone"), run.SecretRef{Env: "A", In: run.InNomad, Path: path(b), Field: "tok"})
		b.refused(w, text, "the Nomad variable "+path(b)+"/gone does not exist, or this job may not read it", "the Nomad variable "+path(b)+" has no field tok")
	})
	t.Run("what no environment can hold ends the run with a reason", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), map[string]string{"GOOD": "1", "bad-name": "2", "ct_x": "3", "ZERO": "a\x00b", "LONG": strings.Repeat("<", 60_000)})
		w, text := b.secretly(tellEnv("GOOD"), whole(path(b)))
		is := " of the Nomad variable " + path(b)
		b.refused(w, text, `bad-name\"`+is+" cannot be the name of an environment variable", `ct_x\"`+is+" cannot be the name", "ZERO"+is+" is too long for an environment variable (3 bytes), or has a zero byte")
	})
	t.Run("variables are listed by path, without their items", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b)+"/b", trickySecrets)
		b.putVariable(path(b), trickySecrets)
		for query, want := range map[string][]string{"": {path(b), path(b) + "/b"}, "&per_page=1": {path(b)}, "/": {path(b) + "/b"}, "/no": nil} {
			r := b.raw("GET", "/v1/vars?prefix="+path(b)+query, nil)
			var got []string
			for _, v := range decode[[]struct{ Path string }](b, r) {
				got = append(got, v.Path)
			}
			if !slices.Equal(got, want) || strings.Contains(r.Body, trickySecrets["MY_PLAIN"]) || want == nil && strings.TrimSpace(r.Body) != "[]" {
				t.Errorf("%s%s: %s", path(b), query, r.Body)
			}
		}
	})
	t.Run("a variable is put, and found without being read", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		b.putVariable(path(b), map[string]string{"old": "x"}) // which goes at the end
		if err := b.client.FindVariable(b.context(), "", path(b)+"/none", ""); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("one that is not there: %v", err)
		}
		if err := b.client.FindVariable(b.context(), "", path(b), ""); err != nil {
			t.Error(err)
		}
		err := b.client.PutVariable(b.context(), "", path(b), "token", "x y")
		if errors.Is(err, fault.ErrNotPossible) && strings.Contains(fault.Of(err).Fix, "nomad var put") {
			return // a token that may only list
		}
		if err != nil {
			t.Fatal(err)
		}
		if w, text := b.secretly(tellEnv("A"), run.SecretRef{Env: "A", In: run.InNomad, Path: path(b), Field: "token"}); !w.OK() || !strings.Contains(text, "A:"+base64.StdEncoding.EncodeToString([]byte("x y"))) {
			t.Errorf("worker is %+v, printed %q", w, text)
		}
		b.itemsAre(path(b), map[string]string{"old": "x", "token": "x y"})
		if err := b.client.PutVariable(b.context(), "", path(b), "token", strings.Repeat("geheim", 20_000)); !errors.Is(err, fault.ErrNotPossible) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("too long: %v", err)
		}
		b.itemsAre(path(b), map[string]string{"old": "x", "token": "x y"})
	})
	t.Run("a variable is written only if it is the version that was read", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		if r := b.operator("GET", "/v1/var/"+path(b), nil); r.Code != 404 || r.Body != "variable not found" {
			t.Errorf("one that is not there: %d %q", r.Code, r.Body)
		}
		b.putVariable(path(b), map[string]string{"a": "1"})
		index := decode[api.Variable](b, b.operator("GET", "/v1/var/"+path(b), nil)).ModifyIndex
		put := func(query, value string) reply {
			return b.operator("PUT", "/v1/var/"+path(b)+query, map[string]any{"Path": path(b), "Items": map[string]string{"a": value}})
		}
		for query, code := range map[string]int{"?cas=0": 409, fmt.Sprintf("?cas=%d", index-1): 409, "?cas=x": 400} {
			r := put(query, "2")
			var there api.Variable
			if code == 409 {
				if err := json.Unmarshal([]byte(r.Body), &there); err != nil {
					t.Errorf("%s: %v", query, err)
				}
			}
			if r.Code != code || code == 409 && there.ModifyIndex != index {
				t.Errorf("%s: %d %s", query, r.Code, r.Body)
			}
		}
		b.itemsAre(path(b), map[string]string{"a": "1"})
		if r := put(fmt.Sprintf("?cas=%d", index), "3"); r.Code != 200 {
			t.Errorf("%d %s", r.Code, r.Body)
		}
		b.itemsAre(path(b), map[string]string{"a": "3"})
	})
	t.Run("without any nothing is looked up", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, target, nil)
		w := b.ended(b.dispatch(tellEnv()))
		if text := b.printed(w.AllocID, "stdout", "done\n"); !w.OK() || strings.Contains(text, "secrets_missing") {
			t.Errorf("worker is %+v, printed %q", w, text)
		}
	})
}
