package client

import (
	"errors"
	"net/http"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestParametersAreSentUnlessTheyAreAtTheirDefault(t *testing.T) {
	t.Parallel()
	for want, query := range map[string]any{
		"":                                    nil,
		"?limit=500":                          RunsQuery{Limit: 500},
		"?before=r-1&state=failed&state=lost": RunsQuery{State: []string{"failed", "lost"}, Before: "r-1", Limit: 50},
		"?tail=3":                             LogsQuery{Worker: -1, Tail: 3},
		"?after=7&worker=0":                   LogsQuery{After: 7},
		"?descending=true&path=a%2Fb+c":       StorageQuery{StoragePath: StoragePath{Path: "a/b c"}, Sort: "name", Descending: true, Limit: 200},
	} {
		if got := encode(query); got != want {
			t.Errorf("%+v: %q, want %q", query, got, want)
		}
	}
}

func TestAProblemWithoutAKnownCodeIsKnownByItsStatus(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]fault.Kind{
		http.StatusNotFound: fault.ErrNotFound, http.StatusTeapot: fault.ErrBadRequest, http.StatusBadGateway: fault.ErrUnavailable, http.StatusGatewayTimeout: fault.ErrUnavailable,
		http.StatusServiceUnavailable: fault.ErrUnavailable, http.StatusNotImplemented: fault.ErrInternal,
	} {
		for _, code := range []fault.Kind{"", "of_a_newer_console"} {
			if got := fault.Of(&Problem{Code: code, Status: status}).Kind; got != want {
				t.Errorf("%d %q: %s, want %s", status, code, got, want)
			}
		}
	}
	p := &Problem{Code: fault.ErrNoRun, Status: http.StatusBadGateway, Title: "No such run", Detail: "It may have been deleted."}
	if f := fault.Of(p); f.Kind != fault.ErrNoRun || f.Title != p.Title || f.Text() != p.Detail {
		t.Errorf("%+v", f)
	}
}

func TestNothingReachedIsWorthTryingAgain(t *testing.T) {
	t.Parallel()
	cause := errors.New("refused")
	err := &Unreachable{"http://127.0.0.1:1", cause}
	if k := fault.Of(err).Kind; !k.Temporary() || k.Exit() != fault.ExitFailed || !errors.Is(err, cause) {
		t.Errorf("%s", k)
	}
}

func TestOnlyTheAddressOfAConsoleIsTaken(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"ftp://x", "http://u:p@x", "http://x?q=1", "http://", "://"} {
		if _, err := New(addr); err == nil {
			t.Errorf("%s is taken", addr)
		}
	}
	for _, addr := range []string{"127.0.0.1:8080", "https://console.example/cotrain/", "http://[::1]:80/"} {
		if _, err := New(addr); err != nil {
			t.Error(err)
		}
	}
}
