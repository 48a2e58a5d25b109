package router_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/router"
)

func TestNoHandlerRunsBeforeItsRightIsAsked(t *testing.T) {
	t.Parallel()
	has := access.RunsRead
	deny := func(_ string, right access.Right, next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if right != has {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	inner, outer := router.New(deny), router.New(deny)
	inner.Handle("GET /api/read", access.RunsRead, ok)
	inner.Handle("GET /api/stop", access.RunsStop, ok)
	outer.Handle("GET /read", access.RunsRead, ok)
	outer.Handle("GET /stop", access.RunsStop, ok)
	outer.Mount("/api/", inner)
	for path, want := range map[string]int{"/read": 200, "/stop": 403, "/api/read": 200, "/api/stop": 403, "/api/none": 404, "/none": 404} {
		w := httptest.NewRecorder()
		outer.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if got := outer.Rights(); len(got) != 4 || got["GET /api/stop"] != access.RunsStop || got["GET /read"] != access.RunsRead {
		t.Errorf("rights: %v", got)
	}
}

func TestARightThatIsNotInTheTableIsAMistake(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a route was registered with a right that nobody can have")
		}
	}()
	router.New(nil).Handle("GET /", "", http.NotFoundHandler())
}
