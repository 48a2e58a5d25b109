// Package s3test is an S3 store in memory whose answers tests can spoil.
package s3test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Bucket is in each store from the start.
const Bucket = "logs"

// Between answers in place of the store, or has next do it.
type Between func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Store is a store; its URL is the endpoint. Any key is good.
type Store struct {
	*httptest.Server
	between atomic.Pointer[Between]
}

// New starts a store with plain HTTP.
func New(t testing.TB) *Store {
	t.Helper()
	return Start(t, (*httptest.Server).Start)
}

// Start starts a store as start does.
func Start(t testing.TB, start func(*httptest.Server)) *Store {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		t.Fatal(err)
	}
	inner := gofakes3.New(backend).Server()
	s := &Store{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if between := s.between.Load(); between != nil {
			(*between)(w, r, inner)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

// Set spoils what is answered from now on; nil ends that.
func (s *Store) Set(between Between) {
	if between == nil {
		s.between.Store(nil)
		return
	}
	s.between.Store(&between)
}

// Refuse answers with an error of S3.
func Refuse(status int, code string) Between {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>as tests want it</Message></Error>`, code)
	}
}

// Hang answers nothing, until the client goes.
func Hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not see it go
	<-r.Context().Done()
}

// Cut closes the connection in place of an answer.
func Cut(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Halve sends half of what it announces, and closes the connection.
func Halve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	whole := httptest.NewRecorder()
	next.ServeHTTP(whole, r)
	for k, v := range whole.Header() {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", fmt.Sprint(whole.Body.Len()))
	_, _ = w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	panic(http.ErrAbortHandler)
}
