package bench

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/inbound"
	"github.com/cotrain/cotrain/internal/store"
)

// Who there is, and how many requests are timed.
const (
	accessUsers    = 200
	accessProjects = 20
	accessRequests = 20_000
)

// BenchmarkAccess finds out who sends a request, by a session and by an API token, on a console with 200 users in 20 projects.
// The baseline is the same handler without.
func BenchmarkAccess(b *testing.B) {
	s, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fillAccounts(b, s)
	service, err := auth.New(b.Context(), auth.Options{Accounts: s.Accounts, Audit: s.Audit, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	session, token := credentials(b, service, access.User{Name: "ann", Kind: access.Person, Administrator: true})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if access.From(r.Context()).May(access.RunsRead, "project-7") {
			w.WriteHeader(http.StatusNoContent)
		}
	})
	identified := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, err := service.Identify(r)
		if err != nil || !access.From(ctx).Known() {
			b.Fatal("nobody: ", err)
		}
		bare(w, r.WithContext(ctx))
	})
	for b.Loop() {
		none := micros(bare, nil)
		bySession, byToken := micros(identified, session), micros(identified, token)
		b.ReportMetric(none, "us-baseline-nobody-asked")
		b.ReportMetric(bySession-none, "us-added-session(<50)")
		b.ReportMetric(byToken-none, "us-added-token(<50)")
	}
}

func fillAccounts(b *testing.B, s *store.Store) {
	b.Helper()
	for i := range accessProjects {
		if err := s.CreateProject(b.Context(), access.Project{Name: fmt.Sprintf("project-%d", i)}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range accessUsers {
		u := access.User{ID: access.UserID(fmt.Sprintf("u-%d", i)), Name: fmt.Sprintf("user%d", i), Kind: access.Person}
		err := s.CreateUser(b.Context(), u, "")
		if err == nil {
			err = s.SetMember(b.Context(), fmt.Sprintf("project-%d", i%accessProjects), u.ID, access.Operator)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// credentials makes a user, and returns the headers of requests with its session and with its token.
func credentials(b *testing.B, service *auth.Service, who access.User) (session, token http.Header) {
	b.Helper()
	user, password, err := service.CreateUser(access.With(b.Context(), access.Local()), who)
	if err != nil {
		b.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := service.LogIn(w, httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/login", nil), user.Name, password); err != nil {
		b.Fatal(err)
	}
	var cookies []string
	for _, c := range w.Result().Cookies() {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	session = http.Header{"Cookie": {strings.Join(cookies, "; ")}, "User-Agent": {"Browser"}}
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
	r.Header = session
	ctx, err := service.Identify(r)
	if err != nil {
		b.Fatal(err)
	}
	if err := service.ChangePassword(ctx, password, "another one than "+password); err != nil { // the first one is for that alone
		b.Fatal(err)
	}
	if ctx, err = service.Identify(r); err != nil {
		b.Fatal(err)
	}
	_, secret, err := service.CreateToken(ctx, access.Token{Name: "bench", Scopes: []access.Scope{access.ScopeWrite}})
	if err != nil {
		b.Fatal(err)
	}
	return session, http.Header{"Authorization": {"Bearer " + secret}, "User-Agent": {"cotrain"}}
}

// admitted makes an administrator in a console's data folder, before it starts, and returns the headers of its token.
func admitted(b *testing.B, dir string) http.Header {
	b.Helper()
	s, err := store.Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	service, err := auth.New(b.Context(), auth.Options{Accounts: s.Accounts, Audit: s.Audit, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	_, token := credentials(b, service, access.User{Name: "ann", Kind: access.Person, Administrator: true})
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return token
}

// micros is the mean time of a request in microseconds.
func micros(h http.Handler, header http.Header) float64 {
	h = inbound.Front{}.Resolve(h)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/runs", nil)
	r.Header = header
	begin := time.Now()
	for range accessRequests {
		h.ServeHTTP(w, r)
	}
	return float64(time.Since(begin).Microseconds()) / accessRequests
}
