package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/audit/audittest"
)

// slowLog takes half an hour for an export.
type slowLog struct{ audittest.Log }

func (l *slowLog) Export(ctx context.Context, f audit.Filter, fn func(audit.Row, audit.Hash) error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(30 * time.Minute):
	}
	return l.Log.Export(ctx, f, fn)
}

// deadlines is an answer on a connection that bounds its reading and writing.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

func TestAnExportTakesAsLongAsItsLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{}
		for range 3 {
			l.Append(audit.Entry{At: time.Now(), Action: "runs.stop", Outcome: audit.Done})
		}
		h := apitest.New().Handler(slog.New(slog.DiscardHandler), func(d *api.Deps) { d.Audit = l })
		soon := time.Now().Add(30 * time.Second)
		w := &deadlines{httptest.NewRecorder(), soon, soon}
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/audit/export", nil))
		if n := strings.Count(w.Body.String(), "\n"); w.Code != http.StatusOK || n != 3 {
			t.Errorf("%d with %d lines", w.Code, n)
		}
		if !w.read.IsZero() || !w.write.After(time.Now()) {
			t.Errorf("the connection reads until %s and writes until %s; it is %s", w.read, w.write, time.Now())
		}
	})
}
