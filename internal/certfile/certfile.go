package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const (
	// checkEvery is how often the files are compared with what is in use.
	checkEvery = 10 * time.Second
	// warnAhead is how long before its end a certificate is complained about.
	warnAhead = 14 * 24 * time.Hour
)

// Paths are the files, in PEM.
type Paths struct {
	Cert     string // the certificate, then those that link it to its authority
	Key      string
	ClientCA string // authorities of the clients; "" to ask for no certificates
}

// Files is a certificate that follows its files.
type Files struct {
	paths Paths
	host  string // that the certificate should be for, "" for any
	now   func() time.Time
	inUse atomic.Pointer[loaded]
}

// loaded is one state of the files.
type loaded struct {
	cert, key, ca []byte
	config        *tls.Config
	leaf          *x509.Certificate
}

// Open reads the files, which must be usable; a certificate out of date is, since who renews it may be as late. It should be
// for host, if that is not "".
func Open(paths Paths, host string, now func() time.Time) (*Files, error) {
	f := &Files{paths: paths, host: host, now: now}
	l, err := f.read()
	if err == nil {
		err = f.load(l)
	}
	if err != nil {
		return nil, err
	}
	f.inUse.Store(l)
	return f, nil
}

// Config is for a server: each connection gets what is then in use. TLS 1.2 at least.
func (f *Files) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return f.inUse.Load().config, nil },
	}
}

// Watch follows the files until ctx ends. It reports why they cannot be used, or what an operator should know of the
// certificate in use, nil for nothing; often the same.
func (f *Files) Watch(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		report(f.Check())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Check takes what is new in the files. It returns why that cannot be used, or what an operator should know of the
// certificate in use. It must not run twice at once.
func (f *Files) Check() error {
	l, err := f.read()
	if err != nil {
		return f.kept(err)
	}
	if !l.same(f.inUse.Load()) {
		err := f.load(l)
		if now := f.now(); err == nil && !now.After(f.inUse.Load().leaf.NotAfter) {
			err = f.outOfDate(l.leaf, now)
		}
		if err != nil {
			return f.kept(err)
		}
		f.inUse.Store(l)
	}
	return f.complaint()
}

// Names reports the certificate in use, for the log.
func (f *Files) Names() (names []string, until time.Time) {
	leaf := f.inUse.Load().leaf
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return append(names, leaf.DNSNames...), leaf.NotAfter
}

func (f *Files) kept(err error) error {
	err = fmt.Errorf("%w; the certificate from before stays in use", err)
	if c := f.complaint(); c != nil {
		err = fmt.Errorf("%w; %w", err, c)
	}
	return err
}

func (f *Files) read() (*loaded, error) {
	l := &loaded{}
	for _, file := range []struct {
		path string
		to   *[]byte
	}{{f.paths.Cert, &l.cert}, {f.paths.Key, &l.key}, {f.paths.ClientCA, &l.ca}} {
		if file.path == "" {
			continue
		}
		b, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("read TLS files: %w", err)
		}
		*file.to = b
	}
	return l, nil
}

func (l *loaded) same(other *loaded) bool {
	return bytes.Equal(l.cert, other.cert) && bytes.Equal(l.key, other.key) && bytes.Equal(l.ca, other.ca)
}

// load makes a configuration of what was read.
func (f *Files) load(l *loaded) error {
	pair, err := tls.X509KeyPair(l.cert, l.key)
	if err != nil {
		return fmt.Errorf("%s and %s are no certificate with its key in PEM: %w", f.paths.Cert, f.paths.Key, err)
	}
	l.leaf = pair.Leaf
	l.config = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{pair}}
	if f.paths.ClientCA != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(l.ca) {
			return fmt.Errorf("%s holds no certificate of an authority in PEM", f.paths.ClientCA)
		}
		l.config.ClientAuth, l.config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}
	return nil
}

// complaint is what an operator should know of the certificate in use.
func (f *Files) complaint() error {
	leaf, now := f.inUse.Load().leaf, f.now()
	if err := f.outOfDate(leaf, now); err != nil {
		return fmt.Errorf("%w: browsers refuse it", err)
	}
	switch {
	case now.Add(warnAhead).After(leaf.NotAfter):
		return fmt.Errorf("the certificate in %s expires on %s", f.paths.Cert, day(leaf.NotAfter))
	case f.host != "" && leaf.VerifyHostname(f.host) != nil:
		return fmt.Errorf("the certificate in %s is not for %s: browsers refuse it", f.paths.Cert, f.host)
	}
	return nil
}

func (f *Files) outOfDate(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate in %s expired on %s", f.paths.Cert, day(leaf.NotAfter))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate in %s is valid only from %s on", f.paths.Cert, day(leaf.NotBefore))
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }
