package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// Vault is one that the agent logs its tasks in to, and a token that may write where runs read: secret/cotrain/shared (KV 2)
// and kv1/cotrain/shared (KV 1).
type Vault struct{ Address, Token string }

// put stores a secret for the time of the test. path is as Vault's API has it.
func (v *Vault) put(b *bench, path string, data any) {
	b.Helper()
	v.call(b, http.MethodPut, path, data)
	b.Cleanup(func() {
		v.call(b, http.MethodDelete, strings.Replace(path, "secret/data/", "secret/metadata/", 1), nil)
	})
}

func (v *Vault) call(b *bench, method, path string, data any) {
	b.Helper()
	body, err := json.Marshal(data)
	if err != nil {
		b.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.context(), method, v.Address+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.Token)
	resp, err := b.plain.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read-only
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(resp.Body) // said if there is any
		b.Fatalf("%s %s: %s %s", method, path, resp.Status, text)
	}
}

// testVault is skipped, but for what is said of it, where the agent has no Vault.
func testVault(t *testing.T, target Target) {
	v := target.Vault
	newBench := func(t *testing.T) *bench {
		b := newBench(t, target, nil)
		b.shape.Vault = true
		return b
	}
	if v == nil {
		b := newBench(t)
		fits, why, _, err := b.client.Plan(b.context(), b.shape, 0)
		if fits || err != nil && !strings.Contains(err.Error(), "Vault") || err == nil && !strings.Contains(why, "are in Vault") {
			t.Errorf("a plan without Vault: fits %v, %q, %v", fits, why, err)
		}
		return
	}
	name := func(b *bench) string { return "cotrain/shared/conformance-" + strings.ToLower(b.shape.Hash()) }
	long := strings.Repeat("x'\n", 40_000)
	data := map[string]any{"MY_NUMBER": 1234567890123, "MY_FLAG": true, "MY_LIST": []any{"a", map[string]any{"b": "c \"d\""}}, "MY_LONG": long}
	want := map[string]string{"MY_NUMBER": "1234567890123", "MY_FLAG": "true", "MY_LIST": `["a",{"b":"c \"d\""}]`, "MY_LONG": long}
	for k, value := range trickySecrets {
		data[k], want[k] = value, value
	}
	names := slices.Sorted(maps.Keys(want))

	for engine, mount := range map[string][2]string{"1": {"kv1/", "kv1/"}, "2": {"secret/", "secret/data/"}} {
		t.Run("every field in KV "+engine+" is environment of the task, as it is", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			stored := any(data)
			if engine == "2" {
				stored = map[string]any{"data": data}
			}
			v.put(b, mount[1]+name(b), stored)
			child, told := b.dispatchWith(tellEnv(append(names, "VAULT_TOKEN", "VAULT_ADDR", "HF_TOKEN")...),
				run.SecretRef{In: run.InVault, Path: mount[0] + name(b)}, run.SecretRef{Env: "HF_TOKEN", In: run.InVault, Path: mount[0] + name(b), Field: "MY_PLAIN"})
			w := b.ended(child)
			text := b.printed(w.AllocID, "stdout", "done\n")
			b.has(text, want)
			b.has(text, map[string]string{"VAULT_TOKEN": "unset", "VAULT_ADDR": "unset", "HF_TOKEN": trickySecrets["MY_PLAIN"]})
			if all := told() + text; strings.Contains(all, trickySecrets["MY_PLAIN"]) {
				t.Errorf("a secret is shown in %s", all)
			}
		})
	}
	t.Run("paths and fields may hold any text", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		odd, field := name(b)+"/a b+c%20?d#é&=:", `the "field" #1`
		v.put(b, "secret/data/"+name(b)+"/a%20b+c%2520%3Fd%23%C3%A9&=:", map[string]any{"data": map[string]any{field: odd}})
		w, text := b.secretly(tellEnv("ODD"), run.SecretRef{Env: "ODD", In: run.InVault, Path: "secret/" + odd, Field: field})
		if !w.OK() {
			t.Errorf("worker is %+v", w)
		}
		b.has(text, map[string]string{"ODD": odd})
	})
	t.Run("what is missing at a path, or no environment can hold, ends the run with all reasons", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		v.put(b, "kv1/"+name(b), map[string]any{"a": "1", "big": strings.Repeat("x", 1<<20-100)}) // as much as Vault takes
		path := "kv1/" + name(b)
		w, text := b.secretly(tellEnv(), run.SecretRef{Env: "A", In: run.InVault, Path: path, Field: "A"}, run.SecretRef{Env: "BIG", In: run.InVault, Path: path, Field: "big"},
			run.SecretRef{In: run.InNomad, Path: "cotrain/no-such"})
		b.refused(w, text, path+" in Vault has no field A", "BIG of "+path+" in Vault is too long for an environment variable (1048476 bytes)", "the Nomad variable cotrain/no-such does not exist")
	})
	for what, path := range map[string]string{"is not there": "secret/cotrain/shared/no-such", "may not be read": "secret/other/no-such"} {
		t.Run("a worker waits for a path that "+what+", and says so", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			child, _ := b.dispatchWith(tellEnv(), run.SecretRef{In: run.InVault, Path: path})
			b.workers(child, 1, "the reason", func(w run.Worker) bool { return w.State == run.WorkerPending && strings.Contains(w.Detail, path) })
		})
	}
}
