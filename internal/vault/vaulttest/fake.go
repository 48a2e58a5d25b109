// Package vaulttest is a Vault for tests: tokens and leases that end, and failures on demand.
package vaulttest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"
)

// Vault speaks Vault's API as far as the console uses it, as a server or as a transport without a network. Its clock is the
// test's. Role "role" with secret ID "s3cret", role "cotrain" with the JWT "a.b.c", any certificate and the token "root" are let in.
type Vault struct {
	Mutex  sync.Mutex                // held for what follows
	KV1    map[string]map[string]any // at kv/, by path below
	KV2    map[string]map[string]any // at secret/
	Tokens map[string]time.Time      // when they end, zero for never
	Leases map[string]time.Time
	Made   int // users, at database/creds/cotrain and nomad/creds/cotrain: user-1 with pass-1 and secret-1, ...
	LogIns int

	Admin   map[string]map[string]any // what an administrator wrote, by path: sys/policies/acl/NAME, auth/jwt-nomad/role/NAME, ...
	Written []string                  // paths, in order
	Of      map[string][]string       // policies by token; one that is not in it may do everything

	Lasts   time.Duration   // of tokens and leases
	Longest time.Duration   // no renewal lets one last longer, 0 for no limit
	Closed  map[string]bool // paths that no policy allows
	// Signs answers pki/sign/cotrain.
	Signs func(body map[string]any) (code int, data map[string]any)
	// Fails refuses a request with a code and text, or with code -1 ends its connection; code 0 lets it pass.
	Fails func(r *http.Request) (code int, text string)

	began map[string]time.Time
}

// New returns one that holds nothing. Tokens and leases last an hour.
func New() *Vault {
	return &Vault{
		KV1: map[string]map[string]any{}, KV2: map[string]map[string]any{}, Tokens: map[string]time.Time{"root": {}}, Leases: map[string]time.Time{},
		Admin: map[string]map[string]any{"sys/mounts/secret": {"type": "kv", "options": map[string]any{"version": "2"}}}, Of: map[string][]string{},
		began: map[string]time.Time{}, Closed: map[string]bool{}, Lasts: time.Hour,
	}
}

// Do changes it while it serves.
func (f *Vault) Do(change func()) {
	f.Mutex.Lock()
	defer f.Mutex.Unlock()
	change()
}

// ServeHTTP answers as a server.
func (f *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := f.RoundTrip(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = resp.Body.Close() }() // in memory
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body) // the client may be gone
}

// RoundTrip answers without a network.
func (f *Vault) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	f.Do(func() { f.serve(w, r) })
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

func (f *Vault) alive(token string) bool {
	end, ok := f.Tokens[token]
	return ok && (end.IsZero() || time.Now().Before(end))
}

func (f *Vault) grant(id string) time.Duration {
	lasts := f.Lasts
	if f.began[id].IsZero() {
		f.began[id] = time.Now()
	}
	if f.Longest > 0 {
		lasts = max(0, min(lasts, f.Longest-time.Since(f.began[id])))
	}
	return lasts
}

func (f *Vault) serve(w *httptest.ResponseRecorder, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if f.Fails != nil {
		if code, text := f.Fails(r); code != 0 {
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
	if !f.alive(token) || f.Closed[path] {
		refuse(w, 403, "permission denied")
		return
	}
	if f.admin(w, r, path, token, body) {
		return
	}
	switch {
	case path == "auth/token/lookup-self":
		left := 0
		if end := f.Tokens[token]; !end.IsZero() {
			left = int(time.Until(end).Seconds())
		}
		give(w, map[string]any{"data": map[string]any{"ttl": left, "renewable": left > 0}})
	case path == "auth/token/renew-self":
		lasts := f.grant(token)
		f.Tokens[token] = time.Now().Add(lasts)
		give(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": int(lasts.Seconds()), "renewable": true}})
	case path == "auth/token/revoke-self":
		delete(f.Tokens, token)
		w.WriteHeader(http.StatusNoContent)
	case path == "sys/leases/renew":
		id := fmt.Sprint(body["lease_id"])
		if end, ok := f.Leases[id]; !ok || time.Now().After(end) {
			refuse(w, 400, "lease not found")
			return
		}
		lasts := f.grant(id)
		f.Leases[id] = time.Now().Add(lasts)
		give(w, map[string]any{"lease_id": id, "lease_duration": int(lasts.Seconds()), "renewable": true})
	case path == "pki/sign/cotrain" && f.Signs != nil:
		code, data := f.Signs(body)
		if code != 200 {
			refuse(w, code, fmt.Sprint(data["error"]))
			return
		}
		give(w, map[string]any{"data": data})
	case strings.HasPrefix(path, "sys/internal/ui/mounts/"):
		at, _, _ := strings.Cut(strings.TrimPrefix(path, "sys/internal/ui/mounts/"), "/")
		options := map[string]map[string]any{"kv": {"version": "1"}, "secret": {"version": "2"}}
		give(w, map[string]any{"data": map[string]any{"path": at + "/", "options": options[at]}})
	case r.URL.Query().Get("list") == "true" || r.Method == "LIST":
		f.list(w, strings.TrimSuffix(strings.TrimPrefix(path+"/", "kv/"), "/"))
	default:
		f.read(w, path)
	}
}

func (f *Vault) logIn(w *httptest.ResponseRecorder, method string, body map[string]any) {
	good := map[string]bool{
		"approle": body["role_id"] == "role" && body["secret_id"] == "s3cret", "jwt": body["role"] == "cotrain" && body["jwt"] == "a.b.c", "cert": body["name"] == nil,
		"else/approle": body["role_id"] == "role",
	}
	if !good[method] {
		refuse(w, 400, "invalid role or secret ID")
		return
	}
	f.LogIns++
	token := fmt.Sprintf("t%d", f.LogIns)
	lasts := f.grant(token)
	f.Tokens[token] = time.Now().Add(lasts)
	give(w, map[string]any{"auth": map[string]any{"client_token": token, "lease_duration": int(lasts.Seconds()), "renewable": true, "token_policies": []string{"cotrain"}}})
}

// list names what is at kv/ below a folder.
func (f *Vault) list(w *httptest.ResponseRecorder, folder string) {
	keys := map[string]bool{}
	for path := range f.KV1 {
		rest, within := path, folder == ""
		if !within {
			rest, within = strings.CutPrefix(path, folder+"/")
		}
		if name, _, deeper := strings.Cut(rest, "/"); within && deeper {
			keys[name+"/"] = true
		} else if within {
			keys[name] = true
		}
	}
	if len(keys) == 0 {
		w.WriteHeader(http.StatusNotFound)
		give(w, map[string]any{"errors": []string{}})
		return
	}
	give(w, map[string]any{"data": map[string]any{"keys": slices.Sorted(maps.Keys(keys))}})
}

// subkeys names the fields at secret/.
func (f *Vault) subkeys(w *httptest.ResponseRecorder, path string) {
	data := f.KV2[path]
	if data == nil {
		w.WriteHeader(http.StatusNotFound)
		give(w, map[string]any{"errors": []string{}})
		return
	}
	names := map[string]any{}
	for name := range data {
		names[name] = nil
	}
	give(w, map[string]any{"data": map[string]any{"subkeys": names, "metadata": map[string]any{"version": 3}}})
}

func (f *Vault) read(w *httptest.ResponseRecorder, path string) {
	if path == "database/creds/cotrain" || path == "nomad/creds/cotrain" {
		f.Made++
		id := fmt.Sprintf("%s/%d", path, f.Made)
		lasts := f.grant(id)
		f.Leases[id] = time.Now().Add(lasts)
		give(w, map[string]any{"lease_id": id, "lease_duration": int(lasts.Seconds()), "renewable": true, "data": map[string]any{
			"username": fmt.Sprintf("user-%d", f.Made), "password": fmt.Sprintf("pass-%d", f.Made), "secret_id": fmt.Sprintf("secret-%d", f.Made),
		}})
		return
	}
	if rest, ok := strings.CutPrefix(path, "secret/subkeys/"); ok {
		f.subkeys(w, rest)
		return
	}
	if rest, ok := strings.CutPrefix(path, "secret/data/"); ok {
		if data, found := f.KV2[rest]; found {
			give(w, map[string]any{"data": map[string]any{"data": data, "metadata": map[string]any{"version": 3}}})
			return
		}
	}
	if data, found := f.KV1[strings.TrimPrefix(path, "kv/")]; found {
		give(w, map[string]any{"data": data, "lease_duration": 2764800})
		return
	}
	w.WriteHeader(http.StatusNotFound)
	give(w, map[string]any{"errors": []string{}})
}
