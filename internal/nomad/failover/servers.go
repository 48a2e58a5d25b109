package failover

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// lookEvery is how often each of several servers is asked whether it works, and lookTimeout how long that may take. A
	// server that hangs is left within their sum.
	lookEvery   = 5 * time.Second
	lookTimeout = 3 * time.Second
	// steady is how many looks in a row a preferred server must pass before it is used again.
	steady = 3
)

// Server is an agent of Nomad, a server or a client, that takes calls.
type Server struct {
	Address    string // http://..., https://... or unix:///path
	Datacenter string // "" if unknown
}

// Static are servers that never change, from addresses separated by commas, the preferred one first.
func Static(addresses string) (func() ([]Server, error), error) {
	var list []Server
	for _, a := range strings.Split(addresses, ",") {
		a = strings.TrimSpace(a)
		if _, err := baseOf(a); err != nil {
			return nil, err
		}
		list = append(list, Server{Address: a})
	}
	return func() ([]Server, error) { return list, nil }, nil
}

// unixHost ends the host under which a socket is dialed: its path in hexadecimal goes before.
const unixHost = ".unix.invalid"

// baseOf is where requests for an address go.
func baseOf(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case err == nil && u.Scheme == "unix" && u.Path != "":
		return &url.URL{Scheme: "http", Host: fmt.Sprintf("%x", u.Path) + unixHost}, nil
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
	}
	return nil, fmt.Errorf("address of Nomad %q: %w: give http://host:4646, https://host:4646 or unix:///path", fault.Clip(address, 200), fault.ErrInvalid)
}

// Socket is the socket that a request's host stands for, if it is one; a port is ignored.
func Socket(host string) (path string, ok bool) {
	encoded, ok := strings.CutSuffix(strings.TrimSuffix(host, ":80"), unixHost)
	raw, err := hex.DecodeString(encoded)
	return string(raw), ok && err == nil
}

// standing is how a server has done.
type standing struct {
	problem string
	since   time.Time
	passed  int // looks in a row
}

// Set knows which server works. One is in use until it fails; a preferred one takes over when it has proved steady.
type Set struct {
	list func() ([]Server, error)
	log  *slog.Logger
	wake chan struct{} // looks at all now

	mu      sync.Mutex
	used    string // address, "" before the first answer
	known   map[string]*standing
	streams map[*stream]bool // open ones
}

// New returns a Set of the servers of list, the preferred one first. The list may change, is asked for often, and says by an error
// why it is empty.
func New(list func() ([]Server, error), log *slog.Logger) *Set {
	return &Set{list: list, log: log, wake: make(chan struct{}, 1), known: map[string]*standing{}, streams: map[*stream]bool{}}
}

// standing must be called with mu held.
func (s *Set) standing(address string) *standing {
	st := s.known[address]
	if st == nil {
		st = &standing{}
		s.known[address] = st
	}
	return st
}

// order returns all servers: the one in use, those without a problem, the others.
func (s *Set) order() ([]Server, error) {
	list, err := s.list()
	if len(list) == 0 {
		if err == nil {
			err = fault.ErrNomadUnreachable
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rank := func(v Server) int {
		switch st := s.standing(v.Address); {
		case st.problem != "":
			return 2
		case v.Address == s.used:
			return 0
		}
		return 1
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b Server) int { return rank(a) - rank(b) })
	return list, nil
}

// works records that a server has answered a call. It takes over if the one in use does not work; one slow answer of that is no
// reason.
func (s *Set) works(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear(address)
	if s.used == "" || s.standing(s.used).problem != "" {
		s.use(address)
	}
}

// clear and use must be called with mu held.
func (s *Set) clear(address string) {
	if st := s.standing(address); st.problem != "" {
		s.log.Info("server of Nomad works again", "server", address)
		*st = standing{}
	}
}

func (s *Set) use(address string) {
	if s.used != address {
		s.log.Info("using server of Nomad", "server", address, "before", s.used)
		s.used = address
	}
}

// failed records why servers cannot be used. Streams from them end where there is another.
func (s *Set) failed(why map[string]string) {
	list, _ := s.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, problem := range why {
		st := s.standing(address)
		if st.problem == "" {
			s.log.Warn("server of Nomad does not work", "server", address, "why", problem)
			st.since = time.Now()
		}
		st.problem, st.passed = problem, 0
	}
	if slices.ContainsFunc(list, func(v Server) bool { return s.standing(v.Address).problem == "" }) {
		s.leave(func(from string) bool { return why[from] != "" })
	}
}

// leave ends the streams from some servers. It must be called with mu held.
func (s *Set) leave(some func(address string) bool) {
	for st := range s.streams {
		if some(st.address) {
			st.cancel(errMoved)
		}
	}
}

// stream is a request whose answer is endless.
type stream struct {
	address string
	cancel  context.CancelCauseFunc
}

// opened records a stream, until the returned function ends it.
func (s *Set) opened(address string, cancel context.CancelCauseFunc) (end func()) {
	st := &stream{address, cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[st] = true
	return func() {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.streams, st)
	}
}

// look makes [Set.Keep] look at all servers now.
func (s *Set) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Keep looks at the servers until ctx ends, as long as there are several: so one that hangs is left, and a preferred one that is
// back is used again.
func (s *Set) Keep(ctx context.Context, calls http.RoundTripper) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
		if list, _ := s.list(); len(list) > 0 {
			s.round(ctx, list, transport{servers: s, next: calls})
		}
	}
}

func (s *Set) round(ctx context.Context, list []Server, calls transport) {
	errs := make([]error, len(list))
	if len(list) > 1 {
		limit, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		var looks sync.WaitGroup
		for i, v := range list {
			looks.Go(func() { errs[i] = calls.probe(limit, v) })
		}
		looks.Wait()
		if ctx.Err() != nil {
			return
		}
	}
	problems := map[string]string{}
	for i, v := range list {
		switch {
		case errs[i] != nil:
			problems[v.Address] = brief(errs[i])
		case len(list) > 1:
			s.mu.Lock()
			s.clear(v.Address)
			s.standing(v.Address).passed++
			s.mu.Unlock()
		}
	}
	s.failed(problems)
	s.choose(list)
}

// choose moves on from a server that has failed or gone, and back to a preferred one that is steady.
func (s *Set) choose(list []Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := func(address string) bool {
		return slices.ContainsFunc(list, func(v Server) bool { return v.Address == address })
	}
	s.leave(func(from string) bool { return !listed(from) })
	for address := range s.known {
		if !listed(address) {
			delete(s.known, address)
		}
	}
	bad := !listed(s.used) || s.standing(s.used).problem != ""
	for _, v := range list {
		st := s.standing(v.Address)
		if v.Address == s.used && !bad {
			return
		}
		if st.problem == "" && (bad || st.passed >= steady) {
			s.use(v.Address)
			return
		}
	}
}

// States is what is known of all servers, the preferred one first.
func (s *Set) States() []run.Server {
	list, _ := s.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]run.Server, len(list))
	for i, v := range list {
		out[i] = run.Server{Address: v.Address, Datacenter: v.Datacenter, InUse: v.Address == s.used}
		if st := s.known[v.Address]; st != nil && st.problem != "" {
			out[i].Problem, out[i].Since, out[i].InUse = st.problem, st.since, false
		}
	}
	return out
}

// brief is what is wrong with a server in a few words.
func brief(err error) string {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer"
	}
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return f.What
	}
	return oneLine(err.Error())
}

// probe asks a server whether it knows a leader, which needs no token.
func (t transport) probe(ctx context.Context, v Server) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, LeaderPath, http.NoBody)
	if err != nil {
		return err
	}
	resp, _, err := t.attempt(r, v, false)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // read-only
	if text, _ := away(resp); text != "" {
		return errors.New(text)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}
