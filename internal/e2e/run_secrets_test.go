package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/run"
)

// TestASecretReachesTheTrainerAndNothingElse registers a secret on the page, gives it a value, has a run ask for it by a tick, and looks
// for the value in all that the console says and keeps.
func TestASecretReachesTheTrainerAndNothingElse(t *testing.T) {
	t.Parallel()
	const value = "planted-hub-token-58c1e7"
	dir := filepath.Join(t.TempDir(), "data")
	trainer := filepath.Join(t.TempDir(), "trainer")
	if err := os.WriteFile(trainer, []byte("#!/bin/sh\nprintf '%s' \"$HF_TOKEN\" | sha256sum\n"), 0o755); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	p := devConsole(t, dir, "COTRAIN_JOB_TRAIN_COMMAND="+trainer, "COTRAIN_LOG_LEVEL=debug")
	var said bytes.Buffer
	post := func(path string, form url.Values) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url(path), strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hear(t, &said, r)
	}
	cli := func(args ...string) string {
		out, errs, _ := p.cli(args...)
		said.WriteString(out + errs)
		return out + errs
	}
	asking := func(name string) []string { return shortRun(name, "--secret", "HF_TOKEN") }

	if got := cli(append([]string{"run", "submit"}, asking("early")...)...); !strings.Contains(got, "HF_TOKEN is not registered") {
		t.Errorf("before it is registered: %s", got)
	}
	post("/admin/secrets", url.Values{"name": {"HF_TOKEN"}, "in": {"nomad"}, "path": {"cotrain/hub"}, "field": {"token"}, "env": {"HF_TOKEN"}, "note": {"gated models"}})
	if got := cli(append([]string{"run", "submit", "--dry-run"}, asking("dry")...)...); !strings.Contains(got, "missing") || !strings.Contains(got, "nomad var put -namespace=default cotrain/hub") {
		t.Errorf("before it has a value: %s", got)
	}
	post("/admin/secrets/HF_TOKEN/value", url.Values{"value": {value}})
	if got := cli(append([]string{"run", "submit", "--dry-run"}, asking("dry")...)...); !strings.Contains(got, "present") {
		t.Errorf("with a value: %s", got)
	}
	b := openBrowser(t, p)
	b.open("/runs/new?preset=debug")
	b.waitFor("the form is there", `document.querySelector("#f-secrets") !== null`)
	b.accessible("a form with secrets")
	b.fill("#f-name", "ticked")
	b.fill("#f-gpus", "0")
	b.click("#f-secrets")
	b.click("[data-action=submit-run]")
	var id run.ID
	p.eventually("the run is submitted", func() bool {
		var list struct{ Items []run.Run }
		_, body, err := p.get("/api/v1/runs")
		if err != nil || json.Unmarshal([]byte(body), &list) != nil || len(list.Items) != 1 {
			return false
		}
		id = list.Items[0].ID
		return true
	})
	p.becomes(id, run.Succeeded)
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(value))); !strings.Contains(cli("run", "logs", string(id)), want) {
		t.Errorf("the trainer did not have the value; it printed\n%s", cli("run", "logs", string(id), "--raw"))
	}
	for _, path := range []string{
		"/admin/secrets", "/admin/secrets/HF_TOKEN", "/admin/secrets/HF_TOKEN/remove", "/admin/audit", "/runs/" + string(id), "/runs/" + string(id) + "/config", "/runs/" + string(id) + "/job.json",
		"/runs/" + string(id) + "/events", "/runs/" + string(id) + "/logs", "/runs/" + string(id) + "/log.txt", "/runs/new?clone=" + string(id), "/api/v1/secrets", "/api/v1/runs/" + string(id), "/api/v1/runs/" + string(id) + "/launch", "/api/v1/audit",
	} {
		_, body, err := p.get(path)
		if err != nil {
			t.Fatal(err)
		}
		said.WriteString(body)
	}
	if !strings.Contains(said.String(), "secret.set") {
		t.Error("the audit log does not say that a value was set")
	}
	cli("secret", "remove", "HF_TOKEN", "--yes")
	if code := p.interrupt(); code != 0 {
		t.Errorf("it ends with %d", code)
	}
	places := map[string]string{"what it says": said.String(), "the log": p.output()}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path) //nolint:gosec // of the test
			places[strings.TrimPrefix(path, dir)] = string(text)
		}
		return err
	})
	if err != nil || len(places) < 5 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	for place, text := range places {
		if strings.Contains(text, value) && !strings.Contains(place, "/trainer/secrets/") { // of the task itself, which Nomad has in memory
			t.Errorf("the value is in %s", place)
		}
	}
}
