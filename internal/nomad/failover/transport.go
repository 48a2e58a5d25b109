package failover

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// LeaderPath is asked of a server to see whether it works.
const LeaderPath = "/v1/status/leader"

const (
	// answerWithin is how long a server may take to begin its answer while there is another to ask.
	answerWithin = 5 * time.Second
	// maxAway bounds an error text.
	maxAway = 8 << 10
)

var (
	errSilent = errors.New("it does not answer")
	errMoved  = fmt.Errorf("the server of Nomad does not work; another takes over: %w", fault.ErrNomadUnreachable)
)

// lostError is a change that a server may have made before it failed, while there is another: whoever knows how to repeat it
// safely does so.
type lostError struct{ cause error }

func (e *lostError) Error() string { return e.cause.Error() }
func (e *lostError) Unwrap() error { return e.cause }

// Lost reports whether a change may be asked of another server, by who can tell whether it was made.
func Lost(err error) bool {
	var l *lostError
	return errors.As(err, &l)
}

// NoneError says what is wrong with each of several servers.
type NoneError struct {
	servers []string
	causes  []error
}

func (e *NoneError) Error() string {
	parts := make([]string, len(e.servers))
	for i, s := range e.servers {
		parts[i] = s + ": " + brief(e.causes[i])
	}
	return strings.Join(parts, "; ")
}

func (e *NoneError) Unwrap() []error { return e.causes }

// transport sends requests to the server in use, and to the next one where that is safe.
type transport struct {
	servers *Set
	next    http.RoundTripper
	endless bool // answers are streams, which may begin late, and which end when their server fails
}

// repeatable reports whether a request may be sent again although a server may have carried it out: reading, asking what would
// be, and stopping a job, whose ID is never used again.
func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete:
		return true
	}
	return r.URL.Path == "/v1/jobs/parse" || strings.HasPrefix(r.URL.Path, "/v1/job/") && strings.HasSuffix(r.URL.Path, "/plan")
}

// Transport returns one that sends each request, whatever its host, to a server by next. endless is for streams: their answers may
// begin late, and end when their server fails.
func (s *Set) Transport(next http.RoundTripper, endless bool) http.RoundTripper {
	return transport{servers: s, next: next, endless: endless}
}

// RoundTrip tries the servers in order. A request that may not be repeated goes on only from a server that certainly has not
// carried it out.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody != nil { // each attempt has its own
		defer func() { _ = r.Body.Close() }()
	}
	order, err := t.servers.order()
	if err != nil {
		return nil, err
	}
	var none NoneError
	for i, v := range order {
		more := i < len(order)-1 && (r.Body == nil || r.GetBody != nil)
		resp, sent, err := t.attempt(r, v, more)
		text, undone := "", !sent
		switch {
		case err == nil:
			if text, undone = away(resp); text == "" {
				t.servers.works(v.Address)
				return resp, nil
			}
			t.servers.failed(map[string]string{v.Address: text})
		case r.Context().Err() != nil:
			return nil, err // says nothing about the server
		case errors.Is(err, errSilent):
			t.servers.look()
		default:
			t.servers.failed(map[string]string{v.Address: brief(err)})
		}
		if more && (undone || repeatable(r)) {
			if resp != nil {
				_ = resp.Body.Close() // was read
				err = errors.New(text)
			}
			none.servers, none.causes = append(none.servers, v.Address), append(none.causes, err)
			continue
		}
		switch {
		case err == nil:
			return resp, nil
		case more:
			return nil, &lostError{err}
		case len(none.servers) > 0:
			none.servers, none.causes = append(none.servers, v.Address), append(none.causes, err)
			return nil, &none
		}
		return nil, err
	}
	return nil, &none
}

// attempt sends a request to one server. sent is false if certainly no byte of it was. With more it gives up a server that does
// not begin its answer, unless the request may not be repeated and was sent.
func (t transport) attempt(r *http.Request, v Server, more bool) (resp *http.Response, sent bool, err error) {
	base, err := baseOf(v.Address)
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	end := func() { cancel(nil) }
	if t.endless {
		end = t.servers.opened(v.Address, cancel)
	}
	var connected, over atomic.Bool // over: answered, or given up
	out := r.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { connected.Store(false) }, // again only if nothing was written
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}))
	out.URL.Scheme, out.URL.Host, out.Host = base.Scheme, base.Host, base.Host
	if r.GetBody != nil {
		if out.Body, err = r.GetBody(); err != nil {
			end()
			return nil, false, err
		}
	}
	if more {
		timer := time.AfterFunc(answerWithin, func() {
			if (!connected.Load() || repeatable(r) && !t.endless) && over.CompareAndSwap(false, true) {
				cancel(errSilent)
			}
		})
		defer timer.Stop()
	}
	resp, err = t.next.RoundTrip(out) //nolint:bodyclose // the caller closes it
	late := !over.CompareAndSwap(false, true)
	if late && err == nil {
		_ = resp.Body.Close()
		err = errSilent
	}
	if err != nil {
		err = ownCause(ctx, err)
		end()
		return nil, connected.Load(), err
	}
	resp.Body = &body{ReadCloser: resp.Body, ctx: ctx, end: end}
	return resp, true, nil
}

// ownCause is why this package ended a request, if it did, else err.
func ownCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) || errors.Is(cause, errMoved) {
		return cause
	}
	return err
}

// body is an answer whose request ends with it.
type body struct {
	io.ReadCloser
	ctx context.Context //nolint:containedctx // of the request
	end func()
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // as readers return it
		err = ownCause(b.ctx, err)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// Texts of an answer by which a server says that it cannot reach the leader. Those that a node's agent gives are about the node.
var apartTexts = []string{"leadership lost", "No path to region", "failed to get conn", "rpc error: EOF", "no servers"}

// away returns why an answer is not Nomad's but that of a server apart from the others, "" if it is; undone says that certainly
// nothing was changed. The answer can still be read.
func away(resp *http.Response) (text string, undone bool) {
	leader := resp.Request.URL.Path == LeaderPath && resp.StatusCode == http.StatusOK
	if resp.StatusCode < http.StatusInternalServerError && !leader {
		return "", false
	}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxAway))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(raw), resp.Body), resp.Body}
	body := string(raw)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if z, err := gzip.NewReader(bytes.NewReader(raw)); err == nil {
			plain, _ := io.ReadAll(io.LimitReader(z, maxAway))
			body = string(plain)
		}
	}
	switch {
	case leader && strings.TrimSpace(body) == `""`, strings.Contains(body, "No cluster leader"):
		return "it knows no leader", true
	case resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusGatewayTimeout,
		!strings.HasPrefix(resp.Request.URL.Path, "/v1/client/") && resp.StatusCode >= http.StatusInternalServerError && slices.ContainsFunc(apartTexts, func(s string) bool { return strings.Contains(body, s) }):
		return fmt.Sprintf("it answers %d: %s", resp.StatusCode, oneLine(body)), false
	}
	return "", false
}

// oneLine is text from outside, short and without control characters.
func oneLine(s string) string {
	return fault.Clip(strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " "), 200)
}
