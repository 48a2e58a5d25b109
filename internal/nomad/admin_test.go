package nomad

import (
	"net/http"
	"slices"
	"testing"
)

func TestOtherTokensAreThoseOfTheNameWithoutTheOneInUse(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	f.HandleFunc("GET /v1/acl/token/self", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Nomad-Token") != "in-use" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answerJSON(w, map[string]string{"AccessorID": "a1", "Name": "cotrain-console"})
	})
	f.HandleFunc("GET /v1/acl/tokens", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, []map[string]string{{"AccessorID": "a1", "Name": "cotrain-console"}, {"AccessorID": "a2", "Name": "cotrain-console"}, {"AccessorID": "a3", "Name": "other"}})
	})
	for secret, want := range map[string][]string{"in-use": {"a2"}, "revoked": {"a1", "a2"}, "": {"a1", "a2"}} {
		if got, err := c.OtherTokens(t.Context(), "cotrain-console", secret); err != nil || !slices.Equal(got, want) {
			t.Errorf("beside %q: %v, %v, want %v", secret, got, err, want)
		}
	}
}
