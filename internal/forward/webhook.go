package forward

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// Webhook posts entries as JSON: {"entries":[...]}, each as in an export without the hash before. The header
// X-CoTrain-Signature is "sha256=" and the HMAC-SHA256, in hexadecimal, of the time in X-CoTrain-Timestamp (Unix seconds), a dot and
// the body: refuse what is older than a few minutes, and compare in constant time. X-CoTrain-Last is the number of the last entry,
// by which one that comes again is known.
type Webhook struct {
	url    string
	secret []byte
	http   *http.Client
	now    func() time.Time
}

// maxAnswer is how much of an answer is read, so that the connection can be used again.
const maxAnswer = 64 << 10

// CheckWebhook reports why an address cannot be that of a webhook.
func CheckWebhook(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("is not http:// or https:// with a host, without a user")
	}
	return nil
}

// NewWebhook returns a destination. It connects to public addresses only, or, where private is true, to private and loopback ones
// too; never to those of a machine's own link, where clouds keep credentials.
func NewWebhook(address string, secret []byte, private bool) (*Webhook, error) {
	if err := CheckWebhook(address); err != nil {
		return nil, err
	}
	d := &net.Dialer{Timeout: sendTimeout, Control: func(_, address string, _ syscall.RawConn) error { return allowed(address, private) }}
	return &Webhook{url: address, secret: secret, now: time.Now, http: &http.Client{
		Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DialContext: d.DialContext, TLSHandshakeTimeout: sendTimeout, ResponseHeaderTimeout: sendTimeout, MaxResponseHeaderBytes: maxAnswer, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
	}}, nil
}

// shared are addresses that [netip] does not call private: carrier-grade NAT, where one cloud has its metadata, and those that
// stand for others.
var shared = []netip.Prefix{netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32")}

// metadata are where clouds answer with credentials beside link-local addresses.
var metadata = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("192.0.0.192")}

// allowed judges the address that is connected to, after its name was resolved: a name cannot lead elsewhere.
func allowed(address string, private bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap().WithZone("")
	no := ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
	for _, m := range metadata {
		no = no || ip == m
	}
	inner := ip.IsLoopback() || ip.IsPrivate()
	for _, p := range shared {
		inner = inner || p.Contains(ip)
	}
	switch {
	case no:
		return fmt.Errorf("webhooks are not sent to %s", ip)
	case inner && !private:
		return fmt.Errorf("%s is a private address; audit.webhook_private allows those", ip)
	}
	return nil
}

// Name is for [Destination].
func (w *Webhook) Name() string { return "webhook" }

// Send is for [Destination]. Any status of 200 to 299 takes the entries.
func (w *Webhook) Send(ctx context.Context, rows []audit.Row) error {
	body := []byte(`{"entries":[`)
	for i, r := range rows {
		if i > 0 {
			body = append(body, ',')
		}
		body = audit.AppendEntry(body, r)
	}
	body = append(body, "]}"...)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not one") // which may hold a secret
	}
	stamp := strconv.FormatInt(w.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "CoTrain")
	req.Header.Set("X-CoTrain-Last", strconv.FormatInt(rows[len(rows)-1].Seq, 10))
	req.Header.Set("X-CoTrain-Timestamp", stamp)
	if len(w.secret) > 0 {
		req.Header.Set("X-CoTrain-Signature", "sha256="+Sign(w.secret, stamp, body))
	}
	res, err := w.http.Do(req)
	if err != nil {
		if ue := (*url.Error)(nil); errors.As(err, &ue) {
			err = ue.Err // without the address, which may hold a secret
		}
		return err
	}
	defer func() { _ = res.Body.Close() }()                         // read as far as it matters
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // only the status counts
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the webhook answered with %d", res.StatusCode)
	}
	return nil
}

// Sign is the signature of a body that was sent at a time.
func Sign(secret []byte, timestamp string, body []byte) string {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(timestamp + "."))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// Close is for [Destination].
func (w *Webhook) Close() error {
	w.http.CloseIdleConnections()
	return nil
}
