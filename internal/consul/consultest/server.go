// Package consultest is a Consul agent in this process, for tests of what stands on Consul. Tests change what it knows, take its
// leader away, stop it and start it again.
package consultest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Instance is an instance of a service in the catalog.
type Instance struct {
	Node, Address string
	Port          int
	Tags          []string
}

// Server is an agent with servers in some datacenters.
type Server struct {
	t       *testing.T
	address string
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	stop    func()        // nil when stopped

	own         string // datacenter
	datacenters []string
	index       uint64
	catalog     map[string]map[string][]Instance // by datacenter and service
	agent       map[string]map[string]any        // registrations by ID
	kv          map[string]*pair
	sessions    map[string]time.Duration   // lock-delays
	delayed     map[string]time.Time       // keys, until when nobody gets them
	coordinates map[string]any             // answers by path
	nodes       map[string]map[string]Node // in the catalog, by datacenter and name

	token    string
	noLeader bool
	noPath   map[string]bool // datacenters
	hides    bool
	calls    []string

	acls      map[string]map[string]map[string]any // by kind and ID, nil while they are off
	forbidden string                               // prefix of paths
}

type pair struct {
	Value, Session string
	index          uint64
}

// New starts a server that knows the datacenters, its own first.
func New(t *testing.T, datacenters ...string) *Server {
	t.Helper()
	s := &Server{
		t: t, changed: make(chan struct{}), own: datacenters[0], datacenters: datacenters, index: 10, catalog: map[string]map[string][]Instance{}, agent: map[string]map[string]any{},
		kv: map[string]*pair{}, sessions: map[string]time.Duration{}, delayed: map[string]time.Time{}, coordinates: map[string]any{}, nodes: map[string]map[string]Node{}, noPath: map[string]bool{}, address: "127.0.0.1:0",
	}
	s.Start()
	t.Cleanup(s.Stop)
	return s
}

// Address is its URL, which stays the same.
func (s *Server) Address() string { return "http://" + s.address }

// Start starts it again, without its registrations.
func (s *Server) Start() {
	s.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = l.Addr().String()
	clear(s.agent)
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.t.Error(err)
		}
	})
	s.stop = func() { cancel(); _ = server.Close(); serving.Wait() }
}

// Stop ends it in the middle of what it does.
func (s *Server) Stop() {
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// change changes what it knows, and wakes those who wait for it.
func (s *Server) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.index++
	close(s.changed)
	s.changed = make(chan struct{})
}

// SetService sets the passing instances of a service.
func (s *Server) SetService(datacenter, service string, instances ...Instance) {
	s.change(func() {
		if s.catalog[datacenter] == nil {
			s.catalog[datacenter] = map[string][]Instance{}
		}
		s.catalog[datacenter][service] = instances
	})
}

// SetDatacenters sets those that it knows, in their order.
func (s *Server) SetDatacenters(names ...string) { s.change(func() { s.datacenters = names }) }

// SetCoordinates sets the answer of a path, such as /v1/coordinate/nodes?dc=dc1.
func (s *Server) SetCoordinates(path string, answer any) {
	s.change(func() { s.coordinates[path] = answer })
}

// SetLeader takes the leader away, or gives it back.
func (s *Server) SetLeader(has bool) { s.change(func() { s.noLeader = !has }) }

// SetPath cuts the way to a datacenter, or opens it.
func (s *Server) SetPath(datacenter string, has bool) {
	s.change(func() { s.noPath[datacenter] = !has })
}

// SetToken makes it ask for a token.
func (s *Server) SetToken(token string) { s.change(func() { s.token = token }) }

// SetHides makes it hide all services, as from a token that may not read them.
func (s *Server) SetHides(hides bool) { s.change(func() { s.hides = hides }) }

// ResetIndex sets its index back, as when the servers were restored.
func (s *Server) ResetIndex() { s.change(func() { s.index = 1 }) }

// Forget drops a registration.
func (s *Server) Forget(id string) { s.change(func() { delete(s.agent, id) }) }

// Expire ends all sessions, as when their holders were silent.
func (s *Server) Expire() {
	s.change(func() {
		for id := range s.sessions {
			s.endSession(id, s.sessions[id])
		}
	})
}

// Delete deletes a key, whoever holds it.
func (s *Server) Delete(key string) { s.change(func() { delete(s.kv, key) }) }

// Registered returns what is registered under an ID, nil if nothing is.
func (s *Server) Registered(id string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.agent[id])
}

// Calls returns how many requests began with a text such as "GET /v1/health".
func (s *Server) Calls(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// ServeHTTP answers as an agent does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.RequestURI())
	token, noLeader, noPath, forbidden := s.token, s.noLeader, s.noPath[q.Get("dc")], s.forbidden
	s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	local := strings.HasPrefix(path, "agent/") || path == "catalog/datacenters" || strings.HasPrefix(path, "coordinate/datacenters")
	switch {
	case token != "" && r.Header.Get("X-Consul-Token") != token:
		refuse(w, http.StatusForbidden, "ACL not found")
	case forbidden != "" && strings.HasPrefix(r.URL.Path, forbidden):
		refuse(w, http.StatusForbidden, "Permission denied")
	case q.Has("ns") || q.Has("partition"):
		refuse(w, http.StatusBadRequest, `Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature`)
	case noPath:
		refuse(w, http.StatusInternalServerError, "No path to datacenter")
	case noLeader && !local && !q.Has("stale"):
		refuse(w, http.StatusInternalServerError, "No cluster leader")
	default:
		s.answer(w, r, path)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, path string) {
	rest := func(prefix string) string { // an ID or key after it
		after, _ := strings.CutPrefix(path, prefix)
		plain, _ := url.PathUnescape(after)
		return plain
	}
	switch {
	case path == "catalog/datacenters":
		s.mu.Lock()
		defer s.mu.Unlock()
		reply(w, s.datacenters)
	case strings.HasPrefix(path, "acl/"):
		s.acl(w, r, rest("acl/"))
	case strings.HasPrefix(path, "catalog/"):
		s.catalogs(w, r, path)
	case path == "health/state/any":
		s.block(w, r, func() any { return s.checks(r.URL.Query()) })
	case path == "agent/self":
		reply(w, map[string]any{"Config": map[string]string{"Datacenter": s.own}})
	case strings.HasPrefix(path, "health/service/"):
		s.block(w, r, func() any { return s.health(r, rest("health/service/")) })
	case path == "agent/service/register":
		s.register(w, r)
	case strings.HasPrefix(path, "agent/service/deregister/"):
		s.change(func() { delete(s.agent, rest("agent/service/deregister/")) })
	case strings.HasPrefix(path, "agent/service/"):
		s.service(w, r, rest("agent/service/"))
	case strings.HasPrefix(path, "coordinate/"):
		s.mu.Lock()
		defer s.mu.Unlock()
		key := r.URL.Path
		if dc := r.URL.Query().Get("dc"); dc != "" {
			key += "?dc=" + dc
		}
		reply(w, s.coordinates[key])
	case strings.HasPrefix(path, "session/"):
		s.session(w, r, strings.Split(path, "/"))
	case strings.HasPrefix(path, "kv/"):
		s.key(w, r, rest("kv/"))
	default:
		refuse(w, http.StatusNotFound, "no such endpoint")
	}
}

// block waits as a blocking query does, then answers.
func (s *Server) block(w http.ResponseWriter, r *http.Request, answer func() any) {
	since, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
	timeout := time.After(wait)
	s.mu.Lock()
	defer s.mu.Unlock()
	for since > 0 && s.index == since { // a lower one is answered at once
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			since = 0
		case <-r.Context().Done():
			s.mu.Lock()
			return
		}
		s.mu.Lock()
	}
	w.Header().Set("X-Consul-Index", strconv.FormatUint(s.index, 10))
	w.Header().Set("X-Consul-KnownLeader", strconv.FormatBool(!s.noLeader))
	w.Header().Set("X-Consul-LastContact", "0")
	if s.hides {
		w.Header().Set("X-Consul-Results-Filtered-By-ACLs", "true")
	}
	if v := answer(); v != nil {
		reply(w, v)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func (s *Server) health(r *http.Request, service string) any {
	out := []any{}
	tag, dc := r.URL.Query().Get("tag"), r.URL.Query().Get("dc")
	if dc == "" {
		dc = s.own
	}
	for _, i := range s.catalog[dc][service] {
		if s.hides || tag != "" && !slices.Contains(i.Tags, tag) {
			continue
		}
		out = append(out, map[string]any{
			"Node":    map[string]any{"Node": i.Node, "Address": "192.0.2.1", "Datacenter": dc},
			"Service": map[string]any{"Service": service, "Address": i.Address, "Port": i.Port, "Tags": i.Tags},
		})
	}
	for _, given := range s.agent { // its checks pass
		if given["Name"] == service && dc == s.own && !s.hides {
			out = append(out, map[string]any{"Node": map[string]any{"Node": "agent", "Address": "127.0.0.1", "Datacenter": dc}, "Service": given})
		}
	}
	return out
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	var given map[string]any
	if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	s.change(func() { s.agent[fmt.Sprint(given["ID"])] = given })
}

// service answers when its hash is another, or the service is gone.
func (s *Server) service(w http.ResponseWriter, r *http.Request, id string) {
	const hash = "a1b2"
	s.mu.Lock()
	for s.agent[id] != nil && r.URL.Query().Get("hash") == hash {
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		s.mu.Lock()
	}
	defer s.mu.Unlock()
	if s.agent[id] == nil {
		refuse(w, http.StatusNotFound, "unknown service ID: "+id)
		return
	}
	w.Header().Set("X-Consul-ContentHash", hash)
	reply(w, map[string]any{"ID": id, "ContentHash": hash})
}

func (s *Server) session(w http.ResponseWriter, r *http.Request, path []string) {
	switch id := path[len(path)-1]; path[1] {
	case "create":
		var given struct{ LockDelay string }
		_ = json.NewDecoder(r.Body).Decode(&given)
		delay, _ := time.ParseDuration(given.LockDelay)
		s.change(func() {
			id = fmt.Sprintf("session-%d", s.index)
			s.sessions[id] = delay
		})
		reply(w, map[string]string{"ID": id})
	case "renew":
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, has := s.sessions[id]; !has {
			refuse(w, http.StatusNotFound, "Session id not found")
			return
		}
		reply(w, []map[string]string{{"ID": id}})
	case "destroy":
		s.change(func() { s.endSession(id, 0) })
		reply(w, true)
	}
}

func (s *Server) endSession(id string, delay time.Duration) {
	delete(s.sessions, id)
	for key, p := range s.kv {
		if p.Session == id {
			p.Session, p.index = "", s.index+1
			s.delayed[key] = time.Now().Add(delay)
		}
	}
}

func (s *Server) key(w http.ResponseWriter, r *http.Request, key string) {
	if r.Method == http.MethodGet {
		s.block(w, r, func() any {
			p := s.kv[key]
			if p == nil {
				return nil
			}
			return []map[string]any{{"Key": key, "Value": []byte(p.Value), "Session": p.Session, "ModifyIndex": p.index}}
		})
		return
	}
	got, id := false, r.URL.Query().Get("acquire")
	s.change(func() {
		_, live := s.sessions[id]
		p := s.kv[key]
		if got = live && (p == nil || p.Session == "" || p.Session == id) && time.Now().After(s.delayed[key]); got {
			s.kv[key] = &pair{Session: id, index: s.index + 1}
		}
	})
	reply(w, got)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client sees what is missing
}

func refuse(w http.ResponseWriter, code int, text string) {
	w.WriteHeader(code)
	_, _ = fmt.Fprint(w, text)
}
