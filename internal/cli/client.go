package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/fault"
)

const (
	defaultAddr = "http://127.0.0.1:8080"
	dialTimeout = 5 * time.Second
	// answerTimeout bounds one request with its answer; the console itself gives up after 20 seconds of work.
	answerTimeout = 2 * time.Minute
	// maxAnswer bounds an answer in bytes: all points of the largest metric are tens of megabytes.
	maxAnswer = 512 << 20
)

// Remote is the flags of every command that talks to the console.
type Remote struct {
	Addr   string `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	Format string `enum:"table,json" default:"table" help:"table or json."`
}

// client talks to the console.
type client struct {
	base string
	http *http.Client
}

// unreachable is a request that got no answer.
type unreachable struct {
	base  string
	cause error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("cannot reach the console at %s: %v; start it with \"cotrain server\", or name another with COTRAIN_ADDR", e.base, e.cause)
}

func (e *unreachable) Unwrap() error { return e.cause }

// refusal is an answer that says no.
type refusal struct{ api.Problem }

func (e *refusal) Error() string { return e.Title + ": " + e.Detail }

// exit is the exit code: that of the answer's kind, or of its status when a newer console says what this program does not know.
func (e *refusal) exit() int {
	switch {
	case e.Code.Known():
		return e.Code.Exit()
	case e.Status == http.StatusNotFound:
		return exitNotFound
	case e.Status < 500:
		return exitRefused
	}
	return exitFailed
}

// passes reports whether trying again may help. What has no code is from a proxy before the console.
func (e *refusal) passes() bool {
	if e.Code.Known() {
		return e.Code.Passes()
	}
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout
}

// connect returns a client of the console that flag, environment or default name. It sends nothing.
func (p *process) connect(r Remote) (*client, error) {
	addr, source := r.Addr, "--addr"
	if addr == "" {
		addr, _ = p.environ("COTRAIN_ADDR")
		source = "COTRAIN_ADDR"
	}
	if addr = strings.TrimSpace(addr); addr == "" {
		addr = defaultAddr
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.Usage(fmt.Sprintf("%s = %q is not the address of a console", source, addr), "use "+defaultAddr+", for example")
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: 2}
	return &client{base: u.Scheme + "://" + u.Host, http: &http.Client{Transport: t, Timeout: answerTimeout, CheckRedirect: noRedirect}}, nil
}

// noRedirect: a console never redirects its API, so whatever does is something else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// get reads path into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, "", out)
}

// do sends a request with a JSON body (nil for none) and an idempotency key ("" for none), and decodes the answer into
// out (nil to ignore it). Errors are [refusal] and [unreachable], or that of ctx.
func (c *client) do(ctx context.Context, method, path string, body any, key string, out any) error {
	if key == "" {
		return c.send(ctx, method, path, body, out)
	}
	return c.send(ctx, method, path, body, out, "Idempotency-Key", key)
}

// send is do with any headers, in pairs.
func (c *client) send(ctx context.Context, method, path string, body, out any, headers ...string) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, in)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.lost(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	limited := io.LimitReader(res.Body, maxAnswer)
	if res.StatusCode >= 300 {
		return c.refused(ctx, res, limited)
	}
	if out == nil {
		return nil
	}
	if !isJSON(res) {
		return c.stranger(res.StatusCode)
	}
	if err := json.NewDecoder(limited).Decode(out); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

// lost is the error for a request whose answer did not arrive whole.
func (c *client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the method and URL
	}
	return &unreachable{c.base, err}
}

func (c *client) refused(ctx context.Context, res *http.Response, body io.Reader) error {
	if !isJSON(res) {
		return c.stranger(res.StatusCode)
	}
	e := &refusal{}
	if err := json.NewDecoder(body).Decode(&e.Problem); err != nil {
		return c.lost(ctx, err)
	}
	e.Status = res.StatusCode
	return e
}

// stranger is the error for an answer that no console gives. A proxy before one may.
func (c *client) stranger(status int) error {
	return &refusal{api.Problem{
		Title: fmt.Sprintf("No console answers at %s", c.base), Status: max(status, http.StatusInternalServerError),
		Detail: fmt.Sprintf("the answer is %d %s without JSON: is it another program? Name the console with COTRAIN_ADDR.", status, http.StatusText(status)),
	}}
}

func isJSON(res *http.Response) bool {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (media == "application/json" || media == "application/problem+json")
}

// runPath is the address of a run, whatever was typed as its ID.
func runPath(id string) string { return "/api/v1/runs/" + url.PathEscape(id) }
