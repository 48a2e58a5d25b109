package forward

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

// Syslog sends entries as RFC 5424 has them, over UDP (RFC 5426), TCP (RFC 6587) or TLS (RFC 5425). A message's text is the line of
// an export, so that the chain can be verified from it. Syslog has no answers: what the network lost on the way is not sent again.
type Syslog struct {
	network, address string
	tls              *tls.Config
	host             string
	conn             net.Conn
}

// syslogPorts are the default ports.
var syslogPorts = map[string]string{"udp": "514", "tcp": "601", "tls": "6514"}

// ParseSyslog reads an address such as tls://logs.example.org:6514.
func ParseSyslog(text string) (network, address string, err error) {
	u, err := url.Parse(text)
	if err != nil || syslogPorts[u.Scheme] == "" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", fmt.Errorf("%.80q is not udp://, tcp:// or tls:// with a host and perhaps a port", text)
	}
	port := u.Port()
	if port == "" {
		port = syslogPorts[u.Scheme]
	}
	return u.Scheme, net.JoinHostPort(u.Hostname(), port), nil
}

// NewSyslog returns a destination at an address; see [ParseSyslog]. It connects when there is something to send.
func NewSyslog(address string, c *tls.Config) (*Syslog, error) {
	network, at, err := ParseSyslog(address)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &Syslog{network: network, address: at, tls: c, host: host}, nil
}

// Name is for [Destination].
func (s *Syslog) Name() string { return "syslog" }

// sendTimeout bounds one attempt to send.
const sendTimeout = 10 * time.Second

// Send is for [Destination].
func (s *Syslog) Send(ctx context.Context, rows []audit.Row) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if err := s.connect(ctx); err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err := s.conn.SetDeadline(deadline)
	var b []byte
	for i := 0; err == nil && i < len(rows); i++ {
		b = s.message(b[:0], rows[i])
		_, err = s.conn.Write(b)
	}
	if err == nil {
		err = s.alive()
	}
	if err != nil {
		_ = s.Close() // the first error counts
	}
	return err
}

func (s *Syslog) connect(ctx context.Context) (err error) {
	if s.conn != nil {
		return nil
	}
	var d net.Dialer
	switch s.network {
	case "tls":
		s.conn, err = (&tls.Dialer{NetDialer: &d, Config: s.tls}).DialContext(ctx, "tcp", s.address)
	default:
		s.conn, err = d.DialContext(ctx, s.network, s.address)
	}
	return err
}

// alive reports a connection that the server has closed: what was written to it meanwhile may be lost, and is sent again.
func (s *Syslog) alive() error {
	if s.network == "udp" {
		return nil
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return err
	}
	_, err := s.conn.Read(make([]byte, 1))
	if ne, ok := err.(net.Error); err == nil || ok && ne.Timeout() { //nolint:errorlint // of the connection itself
		return nil
	}
	return err
}

// Facility is 13, log audit; an entry of what was done is a notice, one of what was refused or failed a warning.
const (
	facility = 13
	notice   = 5
	warning  = 4
)

// message is an entry, with its length before it where messages follow each other in a stream.
func (s *Syslog) message(b []byte, r audit.Row) []byte {
	severity := notice
	if r.Outcome != audit.Done {
		severity = warning
	}
	head := fmt.Sprintf("<%d>1 %s %s cotrain - audit - ", facility*8+severity, r.At.UTC().Format("2006-01-02T15:04:05.000Z"), s.host)
	text := audit.AppendEntry(nil, r)
	if s.network != "udp" {
		b = append(strconv.AppendInt(b, int64(len(head)+len(text)), 10), ' ')
	}
	return append(append(b, head...), text...)
}

// Close closes the connection; the next Send makes another.
func (s *Syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}
