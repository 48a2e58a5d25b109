package certfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// served is the certificate in use.
type served struct {
	from  string        // where it is from, in messages
	host  string        // that it should be for, "" for any
	warn  time.Duration // before its end it is complained about
	now   func() time.Time
	inUse atomic.Pointer[loaded]
}

// loaded is a certificate with its key, and the authorities of clients.
type loaded struct {
	pair   tls.Certificate
	ca     []byte
	config *tls.Config
}

// load makes a configuration. caFile is where the authorities are from, "" for none.
func load(pair tls.Certificate, caFile string, ca []byte) (*loaded, error) {
	l := &loaded{pair: pair, ca: ca}
	l.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{pair}}
	if caFile != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf("%s holds no certificate of an authority in PEM", caFile)
		}
		l.config.ClientAuth, l.config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	return l, nil
}

// readFile is nil without a path.
func readFile(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read TLS files: %w", err)
	}
	return b, nil
}

// Config is for a server: each connection gets what is then in use. TLS 1.2 at least.
func (s *served) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.inUse.Load().config, nil },
	}
}

// Names reports the certificate in use, for the log.
func (s *served) Names() (names []string, until time.Time) {
	leaf := s.inUse.Load().pair.Leaf
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return append(names, leaf.DNSNames...), leaf.NotAfter
}

// complaint is what an operator should know of the certificate in use.
func (s *served) complaint() error {
	leaf, now := s.inUse.Load().pair.Leaf, s.now()
	if err := s.outOfDate(leaf, now); err != nil {
		return fmt.Errorf("%w: browsers refuse it", err)
	}
	switch {
	case now.Add(s.warn).After(leaf.NotAfter):
		return fmt.Errorf("the certificate %s expires on %s", s.from, day(leaf.NotAfter))
	case s.host != "" && leaf.VerifyHostname(s.host) != nil:
		return fmt.Errorf("the certificate %s is not for %s: browsers refuse it", s.from, s.host)
	}
	return nil
}

func (s *served) outOfDate(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate %s expired on %s", s.from, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate %s is valid only from %s on", s.from, day(leaf.NotBefore))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }

// sameCA reports whether the authorities of clients are still those.
func (l *loaded) sameCA(ca []byte) bool { return bytes.Equal(l.ca, ca) }
