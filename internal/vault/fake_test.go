package vault_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/vault"
)

// fake speaks Vault's API as far as the console uses it. Its clock is the test's.
type fake struct {
	mu     sync.Mutex
	kv1    map[string]map[string]any // at kv/, by path below
	kv2    map[string]map[string]any // at secret/
	tokens map[string]time.Time      // when they end, zero for never
	leases map[string]time.Time
	made   int // users
	logins int
	reads  int
	renews int

	lasts   time.Duration // of tokens and leases
	longest time.Duration // no renewal lets one last longer, 0 for no limit
	began   map[string]time.Time
	closed  map[string]bool // paths that no policy allows
	fails   func(r *http.Request) (code int, text string)
}

func newFake() *fake {
	return &fake{
		kv1: map[string]map[string]any{}, kv2: map[string]map[string]any{}, tokens: map[string]time.Time{"root": {}}, leases: map[string]time.Time{},
		began: map[string]time.Time{}, closed: map[string]bool{}, lasts: time.Hour,
	}
}

// RoundTrip answers without a network.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	f.mu.Lock()
	f.serve(w, r)
	f.mu.Unlock()
	if w.Code == 0 {
		return nil, fmt.Errorf("dial tcp: connection refused")
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func refuse(w *httptest.ResponseRecorder, code int, text string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
}

func give(w *httptest.ResponseRecorder, v any) { _ = json.NewEncoder(w).Encode(v) }

func (f *fake) alive(token string) bool {
	end, ok := f.tokens[token]
	return ok && (end.IsZero() || time.Now().Before(end))
}

func (f *fake) grant(id string) time.Duration {
	lasts := f.lasts
	if f.began[id].IsZero() {
		f.began[id] = time.Now()
	}
	if f.longest > 0 {
		lasts = max(0, min(lasts, f.longest-time.Since(f.began[id])))
	}
	return lasts
}

func (f *fake) serve(w *httptest.ResponseRecorder, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if f.fails != nil {
		if code, text := f.fails(r); code != 0 {
			if code < 0 {
				w.Code = 0
				return
			}
			refuse(w, code, text)
			return
		}
	}
	body := map[string]any{}
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &body)
	}
	if method, ok := strings.CutSuffix(strings.TrimPrefix(path, "auth/"), "/login"); ok && strings.HasPrefix(path, "auth/") {
		f.logIn(w, method, body)
		return
	}
	token := r.Header.Get("X-Vault-Token")
	if !f.alive(token) || f.closed[path] {
		refuse(w, 403, "permission denied")
		return
	}
	switch {
	case path == "auth/token/lookup-self":
		left := 0
		if end := f.tokens[token]; !end.IsZero() {
			left = int(time.Until(end).Seconds())
		}
		give(w, map[string]any{"data": map[string]any{"ttl": left, "renewable": left > 0}})
	case path == "auth/token/renew-self":
		f.renews++
		lasts := f.grant(token)
		f.tokens[token] = time.Now().Add(lasts)
		give(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": int(lasts.Seconds()), "renewable": true}})
	case path == "auth/token/revoke-self":
		delete(f.tokens, token)
		w.WriteHeader(204)
	case path == "sys/leases/renew":
		id := fmt.Sprint(body["lease_id"])
		if end, ok := f.leases[id]; !ok || time.Now().After(end) {
			refuse(w, 400, "lease not found")
			return
		}
		f.renews++
		lasts := f.grant(id)
		f.leases[id] = time.Now().Add(lasts)
		give(w, map[string]any{"lease_id": id, "lease_duration": int(lasts.Seconds()), "renewable": true})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		at, _, _ := strings.Cut(strings.TrimPrefix(path, "sys/internal/ui/mounts/"), "/")
		options := map[string]map[string]any{"kv": {"version": "1"}, "secret": {"version": "2"}}
		give(w, map[string]any{"data": map[string]any{"path": at + "/", "options": options[at]}})
	default:
		f.read(w, path)
	}
}

func (f *fake) logIn(w *httptest.ResponseRecorder, method string, body map[string]any) {
	good := map[string]bool{
		"approle": body["role_id"] == "role" && body["secret_id"] == "s3cret", "jwt": body["role"] == "cotrain" && body["jwt"] == "a.b.c", "cert": body["name"] == nil,
		"else/approle": body["role_id"] == "role",
	}
	if !good[method] {
		refuse(w, 400, "invalid role or secret ID")
		return
	}
	f.logins++
	token := fmt.Sprintf("t%d", f.logins)
	lasts := f.grant(token)
	f.tokens[token] = time.Now().Add(lasts)
	give(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": int(lasts.Seconds()), "renewable": true, "token_policies": []string{"cotrain"}}})
}

func (f *fake) read(w *httptest.ResponseRecorder, path string) {
	f.reads++
	if path == "database/creds/cotrain" || path == "nomad/creds/cotrain" {
		f.made++
		id := fmt.Sprintf("%s/%d", path, f.made)
		lasts := f.grant(id)
		f.leases[id] = time.Now().Add(lasts)
		give(w, map[string]any{"lease_id": id, "lease_duration": int(lasts.Seconds()), "renewable": true, "data": map[string]any{
			"username": fmt.Sprintf("user-%d", f.made), "password": fmt.Sprintf("pass-%d", f.made), "secret_id": fmt.Sprintf("secret-%d", f.made),
		}})
		return
	}
	if rest, ok := strings.CutPrefix(path, "secret/data/"); ok {
		if data, found := f.kv2[rest]; found {
			give(w, map[string]any{"data": map[string]any{"data": data, "metadata": map[string]any{"version": 3}}})
			return
		}
	}
	if data, found := f.kv1[strings.TrimPrefix(path, "kv/")]; found {
		give(w, map[string]any{"data": data, "lease_duration": 2764800})
		return
	}
	w.WriteHeader(404)
	give(w, map[string]any{"errors": []string{}})
}

// open is a client of the fake.
func (f *fake) open(t *testing.T, auth vault.Auth) *vault.Client {
	t.Helper()
	c, err := vault.New(vault.Config{Address: "http://vault.invalid:8200", Auth: auth, Transport: f, ClientCert: "c", ClientKey: "k"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func byRole() vault.Auth { return vault.Auth{Method: vault.ByAppRole, Role: "role", SecretID: "s3cret"} }

func ref(t *testing.T, text string) vault.Ref {
	t.Helper()
	r, err := vault.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
