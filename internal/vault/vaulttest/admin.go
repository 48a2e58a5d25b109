package vaulttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
)

// admin answers what an administrator reads and writes: engines, log-ins, policies, roles, and what a token may do. It reports whether the
// path is such a one.
func (f *Vault) admin(w *httptest.ResponseRecorder, r *http.Request, at, token string, body map[string]any) bool {
	isWrite := r.Method == http.MethodPut || r.Method == http.MethodPost
	switch {
	case at == "sys/capabilities-self":
		data := map[string]any{}
		paths, _ := body["paths"].([]any)
		for _, p := range paths {
			data[fmt.Sprint(p)] = f.capabilities(token, fmt.Sprint(p))
		}
		give(w, map[string]any{"data": data})
		return true
	case at == "sys/mounts" || at == "sys/auth":
		data := map[string]any{}
		for name, value := range f.Admin {
			if below, ok := strings.CutPrefix(name, at+"/"); ok {
				data[below+"/"] = value
			}
		}
		give(w, map[string]any{"data": data})
		return true
	case isWrite && strings.HasPrefix(at, "secret/data/"):
		data, _ := body["data"].(map[string]any)
		f.KV2[strings.TrimPrefix(at, "secret/data/")] = data
		give(w, map[string]any{"data": map[string]any{"version": 4}})
		return true
	case !isWrite && f.Admin[at] == nil || !isAdmin.MatchString(at):
		return false
	case isWrite:
		f.Written = append(f.Written, at)
		if strings.HasPrefix(at, "sys/auth/") {
			body["accessor"] = "accessor_1"
		}
		f.Admin[at] = body
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	// What comes back is written in another way.
	said := maps.Clone(f.Admin[at])
	for key, value := range said {
		if n, ok := value.(float64); ok {
			said[key] = json.Number(fmt.Sprintf("%.0f", n))
		}
	}
	said["token_bound_cidrs"] = []any{}
	give(w, map[string]any{"data": said})
	return true
}

var (
	isAdmin = regexp.MustCompile(`^(sys/(mounts|auth)/[^/]+|sys/policies/acl/[^/]+|auth/[^/]+/(config|role/[^/]+)|nomad/(config/access|role/[^/]+))$`)
	rule    = regexp.MustCompile(`path "([^"]*)" \{\s*capabilities = \[([^\]]*)\]`)
)

// capabilities are those that the policies of a token give at a path; one without policies has all.
func (f *Vault) capabilities(token, at string) []string {
	policies, ok := f.Of[token]
	if !ok {
		return []string{"root"}
	}
	for _, name := range policies {
		text, _ := f.Admin["sys/policies/acl/"+name]["policy"].(string)
		for _, m := range rule.FindAllStringSubmatch(text, -1) {
			if ok, _ := path.Match(m[1], at); ok || strings.HasSuffix(m[1], "*") && strings.HasPrefix(at, strings.TrimSuffix(m[1], "*")) {
				return strings.FieldsFunc(m[2], func(r rune) bool { return r == '"' || r == ',' || r == ' ' })
			}
		}
	}
	return []string{"deny"}
}

// Sealed is [Vault.Fails] of one that is sealed.
func Sealed(*http.Request) (code int, text string) {
	return http.StatusServiceUnavailable, "Vault is sealed"
}
