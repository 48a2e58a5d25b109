package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
)

// TestEveryRequestCarriesTheToken calls every method of the client, whatever it needs.
func TestEveryRequestCarriesTheToken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	without, all := []string{}, 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		all++
		if r.Header.Get("Authorization") != "Bearer ctk_secret" {
			without = append(without, r.Method+" "+r.URL.Path)
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c.SetToken("ctk_secret")
	v, called := reflect.ValueOf(c), 0
	for i := range v.NumMethod() {
		m := v.Type().Method(i)
		if m.Type.NumIn() < 2 || m.Type.In(1) != reflect.TypeFor[context.Context]() {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for n := 2; n < m.Type.NumIn(); n++ {
			args = append(args, reflect.Zero(m.Type.In(n)))
		}
		if m.Type.IsVariadic() {
			args = args[:len(args)-1]
		}
		v.Method(i).Call(args)
		called++
	}
	if len(without) > 0 || called < 20 || all < called {
		t.Errorf("without the token: %v; %d requests of %d methods", without, all, called)
	}
}
