package oidc

import (
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"

	"golang.org/x/oauth2"
)

const (
	maxAnswer  = 1 << 20 // bytes
	maxHeaders = 64 << 10
	maxHops    = 3
	maxLogged  = 500 // bytes of what a provider says
)

// NewClient returns a client for a provider: it waits and reads only so much, and follows no redirect to another place, which
// would get the client's secret. authorities is nil for those that the machine trusts.
func NewClient(authorities *tls.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	t.TLSClientConfig, t.ResponseHeaderTimeout, t.TLSHandshakeTimeout, t.MaxResponseHeaderBytes = authorities, Timeout, Timeout, maxHeaders
	return &http.Client{Transport: bounded{t}, Timeout: Timeout, CheckRedirect: sameSite}
}

func sameSite(r *http.Request, via []*http.Request) error {
	if first := via[0]; r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host || first.Method != http.MethodGet || len(via) > maxHops {
		return errors.New("redirects to another place")
	}
	return nil
}

// bounded cuts answers off that are too long.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > maxAnswer {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the answer has %d bytes", resp.ContentLength)
	}
	resp.Body = &cut{resp.Body, maxAnswer}
	return resp, nil
}

type cut struct {
	io.ReadCloser
	left int64
}

func (c *cut) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return n, err
}

// errorCode is what may stand in the log of what a stranger sends: RFC 6749 allows more.
var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// refusal is the fault for an answer with an error. Its text comes through the browser, so that anybody may have written it:
// it is not repeated.
func refusal(query url.Values) error {
	code := query.Get("error")
	if !errorCode.MatchString(code) {
		code = "an error"
	}
	cause := fmt.Errorf("it answered %s", code)
	if code == "server_error" || code == "temporarily_unavailable" {
		return ErrAway.Because(cause)
	}
	return ErrRejected.Because(cause)
}

// exchangeFault is the fault for a code that was not exchanged. What the provider says beside the error's code is not logged:
// it may repeat what it got.
func exchangeFault(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return ErrAway.Because(err)
	}
	code := refused.ErrorCode
	if !errorCode.MatchString(code) {
		code = "no error code"
	}
	cause := fmt.Errorf("its token endpoint answered %d with %s", refused.Response.StatusCode, code)
	if code == "invalid_grant" { // expired, used before, or of another browser
		return ErrInvalid.Because(cause)
	}
	return ErrAway.Because(cause)
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
