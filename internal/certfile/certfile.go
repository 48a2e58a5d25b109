package certfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"time"
)

const (
	// checkEvery is how often it is looked whether another certificate is needed or there.
	checkEvery = 10 * time.Second
	// warnAhead is how long before its end a certificate that others renew is complained about.
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
	served
	paths Paths
	text  texts // of what is in use
}

// texts are what the files hold.
type texts struct{ cert, key, ca []byte }

func (t texts) equal(o texts) bool {
	return bytes.Equal(t.cert, o.cert) && bytes.Equal(t.key, o.key) && bytes.Equal(t.ca, o.ca)
}

// Open reads the files, which must be usable; a certificate out of date is, since who renews it may be as late. It should be
// for host, if that is not "".
func Open(paths Paths, host string, now func() time.Time) (*Files, error) {
	f := &Files{paths: paths, served: served{from: "in " + paths.Cert, host: host, warn: warnAhead, now: now}}
	text, err := f.read()
	if err != nil {
		return nil, err
	}
	l, err := f.load(text)
	if err != nil {
		return nil, err
	}
	f.use(l, text)
	return f, nil
}

// Watch follows the files until ctx ends. It reports why they cannot be used, or what an operator should know of the
// certificate in use, nil for nothing; often the same.
func (f *Files) Watch(ctx context.Context, report func(error)) error {
	return watch(ctx, report, func(context.Context) error { return f.Check() })
}

// watch calls check from time to time and reports what it returns, until ctx ends.
func watch(ctx context.Context, report func(error), check func(context.Context) error) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		if err := check(ctx); ctx.Err() == nil {
			report(err)
		}
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
	text, err := f.read()
	if err != nil {
		return f.kept(err)
	}
	if !text.equal(f.text) {
		l, err := f.load(text)
		if now := f.now(); err == nil && !now.After(f.inUse.Load().pair.Leaf.NotAfter) {
			err = f.outOfDate(l.pair.Leaf, now)
		}
		if err != nil {
			return f.kept(err)
		}
		f.use(l, text)
	}
	return f.complaint()
}

func (f *Files) use(l *loaded, text texts) {
	f.text = text
	f.inUse.Store(l)
}

func (f *Files) kept(err error) error {
	err = fmt.Errorf("%w; the certificate from before stays in use", err)
	if c := f.complaint(); c != nil {
		err = fmt.Errorf("%w; %w", err, c)
	}
	return err
}

func (f *Files) read() (t texts, err error) {
	if t.cert, err = readFile(f.paths.Cert); err != nil {
		return t, err
	}
	if t.key, err = readFile(f.paths.Key); err != nil {
		return t, err
	}
	t.ca, err = readFile(f.paths.ClientCA)
	return t, err
}

func (f *Files) load(t texts) (*loaded, error) {
	pair, err := tls.X509KeyPair(t.cert, t.key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key in PEM: %w", f.paths.Cert, f.paths.Key, err)
	}
	return load(pair, f.paths.ClientCA, t.ca)
}
