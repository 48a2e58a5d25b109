package client

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
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// DefaultAddr is the address of a console that nobody has configured.
const DefaultAddr = "http://127.0.0.1:8080"

const (
	dialTimeout = 5 * time.Second
	// answerTimeout bounds one request with its answer; the console itself gives up after 20 seconds of work.
	answerTimeout = 2 * time.Minute
	// maxAnswer bounds an answer in bytes: all points of the largest metric are tens of megabytes.
	maxAnswer = 512 << 20
)

// Client talks to one console.
type Client struct {
	base  string
	token string // "" for none
	http  *http.Client
}

// New returns a client of the console at an address such as "https://example.com/cotrain" or "127.0.0.1:8080". It sends nothing.
func New(addr string) (*Client, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the address of a console", addr)
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: 2}
	return &Client{base: u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), http: &http.Client{Transport: t, Timeout: answerTimeout, CheckRedirect: noRedirect}}, nil
}

// SetToken makes the client send an API token with every request.
func (c *Client) SetToken(token string) { c.token = token }

// Address is the console's, as every client of it writes it.
func (c *Client) Address() string { return c.base }

// Private reports whether nobody between here and the console can read what is sent: it goes over TLS, or stays on this machine.
func (c *Client) Private() bool {
	u, err := url.Parse(c.base)
	if err != nil || u.Scheme == "https" {
		return err == nil
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// noRedirect: a console never redirects its API, so whatever does is something else.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// get reads what is at a path. The query is a struct whose fields have query tags, or nil.
func get[T any](ctx context.Context, c *Client, path string, query any) (out T, err error) {
	return out, c.send(ctx, http.MethodGet, path+encode(query), nil, &out)
}

// encode is the parameters of a request with their question mark. What is at its default is left out, and so is a zero, but
// where the parameter may be negative: the worker of rank 0.
func encode(query any) string {
	if query == nil {
		return ""
	}
	values, v := url.Values{}, reflect.ValueOf(query)
	for _, f := range reflect.VisibleFields(v.Type()) {
		tag, ok := f.Tag.Lookup("query")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(tag, ",")
		field := v.FieldByIndex(f.Index)
		if list, ok := field.Interface().([]string); ok {
			values[name] = list
		} else if text := fmt.Sprint(field); text != f.Tag.Get("default") && (!field.IsZero() || strings.HasPrefix(f.Tag.Get("minimum"), "-")) {
			values.Set(name, text)
		}
	}
	if text := values.Encode(); text != "" {
		return "?" + text
	}
	return ""
}

// request makes every request that a client sends.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// send sends a request with a JSON body (nil for none) and headers in pairs, and decodes the answer into out (nil to ignore
// it).
func (c *Client) send(ctx context.Context, method, path string, body, out any, headers ...string) error {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		in = bytes.NewReader(b)
	}
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
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
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the method and URL
	}
	return &Unreachable{c.base, err}
}

func (c *Client) refused(ctx context.Context, res *http.Response, body io.Reader) error {
	if !isJSON(res) {
		return c.stranger(res.StatusCode)
	}
	p := &Problem{}
	if err := json.NewDecoder(body).Decode(p); err != nil {
		return c.lost(ctx, err)
	}
	p.Status = res.StatusCode
	return p
}

// stranger is the error for an answer that no console gives. A proxy before one may.
func (c *Client) stranger(status int) error {
	return &Problem{
		Title: fmt.Sprintf("No console answers at %s", c.base), Status: max(status, http.StatusInternalServerError),
		Detail: fmt.Sprintf("the answer is %d %s without JSON: is it another program? Name the console with COTRAIN_ADDR.", status, http.StatusText(status)),
	}
}

func isJSON(res *http.Response) bool {
	media, _, err := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return err == nil && (media == "application/json" || media == "application/problem+json")
}
