package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/run"
)

// planted are secrets, each where its owner puts it, by what they are.
var planted = map[string]string{
	"Nomad's token":              "planted-nomad-3f0c1b",
	"PostgreSQL's password":      "planted-postgres-91ac7e",
	"another program's token":    "planted-vault-5d22e0",
	"an API token":               "ctk_plantedtoken_planted-api-7c41d9aaaaaaaaaaaaaaaaaaaaaaaaaa",
	"a session":                  "planted-session-2b8f6a",
	"a password":                 "planted-password-c0ffee",
	"a token in a query":         "planted-query-8e1d33",
	"a key in a launch script":   "planted-wandb-64b0f2",
	"a password of an address":   "planted-remote-1aa9d7",
	"a bearer token in a script": "planted-bearer-e93c55",
	"a code in a path":           "planted-code-0d7a4b",
	"a basic password":           "planted-basic-a7b6c5",
}

// TestNoSecretComesOut plants secrets wherever a person or the operator gives one to the console, uses the console in many
// ways, those that fail among them, and then looks for the secrets in all that it says and keeps.
func TestNoSecretComesOut(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	pair := certtest.New(t).Issue(time.Now().Add(20*24*time.Hour), "127.0.0.1", "localhost")
	cert, key := pair.Write(t, t.TempDir())
	p := devConsole(t, dir, "NOMAD_TOKEN="+planted["Nomad's token"], "PGPASSWORD="+planted["PostgreSQL's password"], "VAULT_TOKEN="+planted["another program's token"],
		"COTRAIN_LOG_LEVEL=debug", "COTRAIN_LOG_FORMAT=json")
	var said bytes.Buffer // by the console to anybody
	ask := func(method, path, contentType, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, p.url(path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", "Bearer "+planted["an API token"])
		r.Header.Set("Cookie", "cotrain_session="+planted["a session"]+"; __Host-cotrain_session="+planted["a session"])
		r.Header.Set("Referer", p.url("/?token="+planted["a token in a query"]))
		hear(t, &said, r)
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Del("Cookie")
		r.SetBasicAuth("ann", planted["a basic password"])
		hear(t, &said, r)
	}
	const form, asJSON = "application/x-www-form-urlencoded", "application/json"
	for _, path := range []string{
		"/", "/runs/new", "/templates", "/sweeps", "/cluster", "/storage", "/system", "/healthz", "/readyz", "/nothing", "/ws", "/login", "/setup", "/runs/r-0000000000",
		"/api/v1/runs", "/api/v1/nodes", "/api/v1/system", "/api/v1/nothing", "/api/v1/openapi.json", "/metrics",
	} {
		ask(http.MethodGet, path+"?token="+planted["a token in a query"], "", "")
	}
	ask(http.MethodGet, "/setup?code="+planted["a code in a path"], "", "")
	ask(http.MethodGet, "/login?next="+url.QueryEscape("//evil.example/"+planted["a code in a path"]), "", "")
	ask(http.MethodPost, "/login", form, url.Values{"name": {"ann"}, "password": {planted["a password"]}}.Encode())
	ask(http.MethodPost, "/setup", form, url.Values{"code": {planted["a code in a path"]}, "name": {"ann"}, "password": {planted["a password"]}}.Encode())
	ask(http.MethodPost, "/theme", form, "theme=dark&password="+planted["a password"])
	ask(http.MethodPost, "/runs", form, "name=x&nodes=none&password="+planted["a password"])
	ask(http.MethodPost, "/api/v1/runs", asJSON, `{"name":"x","password":"`+planted["a password"]+`"}`)
	ask(http.MethodPost, "/api/v1/runs", asJSON, `{"password":"`+planted["a password"]+`"`)
	script := fmt.Sprintf("export WANDB_API_KEY=%s\nexport REMOTE=https://u:%s@store.example/x\ncurl -H 'Authorization: Bearer %s' x\npython train.py optim.lr=1\nname_model = \"150M\"\n",
		planted["a key in a launch script"], planted["a password of an address"], planted["a bearer token in a script"])
	imported, err := json.Marshal(map[string]string{"text": script})
	if err != nil {
		t.Fatal(err)
	}
	ask(http.MethodPost, "/api/v1/config/import", asJSON, string(imported))
	ask(http.MethodPost, "/runs/import", form, url.Values{"text": {script}, "config": {script}}.Encode())

	id := p.submit(shortRun("planted")...)
	p.becomes(id, run.Succeeded)
	ask(http.MethodGet, "/runs/"+string(id), "", "")
	for _, path := range []string{"/metrics", "/logs", "/log/lines?machine=1", "/log.txt", "/workers", "/events", "/config", "/config.toml", "/launch.sh", "/job.json"} {
		ask(http.MethodGet, "/runs/"+string(id)+path, "", "")
	}
	for _, args := range [][]string{{"run", "list"}, {"run", "show", string(id)}, {"run", "logs", string(id), "--raw"}, {"run", "launch", string(id)}, {"node", "list"}, {"run", "show", "r-none"}} {
		out, errs, _ := command(t, []string{"COTRAIN_ADDR=http://" + p.addr, "COTRAIN_TOKEN=" + planted["an API token"]}, args...)
		said.WriteString(out + errs)
	}
	out, errs, _ := command(t, []string{"COTRAIN_DATABASE_PASSWORD=" + planted["a password"], "COTRAIN_TLS_CERT=" + key, "COTRAIN_TLS_KEY=" + cert, "NOMAD_ADDR=http://u:" + planted["a password"] + "@x"}, "server")
	said.WriteString(out + errs)
	if code := p.interrupt(); code != 0 {
		t.Errorf("it ends with %d", code)
	}

	secrets := map[string]string{"the key of TLS": strings.Split(string(pair.Key), "\n")[1]}
	for name, secret := range planted {
		secrets[name] = secret
	}
	places := map[string]string{"what it says": said.String(), "the log": p.output()}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			places[strings.TrimPrefix(path, dir)] = string(text)
		}
		return err
	})
	if err != nil || len(places) < 5 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	for place, text := range places {
		for name, secret := range secrets {
			if place == "what it says" && (name == "a token in a query" || name == "a code in a path") {
				continue // a page knows its own address, to come back to it
			}
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s is in %s: %q", name, place, text[max(0, i-200):min(len(text), i+len(secret)+20)])
			}
		}
	}
}

// hear sends a request, and notes the answer with its header.
func hear(t *testing.T, said *bytes.Buffer, r *http.Request) {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := res.Header.Write(said); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(said, res.Body); err != nil {
		t.Fatal(err)
	}
}
