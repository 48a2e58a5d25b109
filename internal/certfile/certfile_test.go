package certfile_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/certfile/certtest"
)

const host = "cotrain.example.com"

func soon() time.Time { return time.Now().Add(30 * 24 * time.Hour) }

// server is a TLS server with its files in a folder.
type server struct {
	files  *certfile.Files
	folder string
	addr   string
}

func serve(t *testing.T, pair certtest.Pair, clientCA []byte) *server {
	t.Helper()
	s := &server{folder: t.TempDir()}
	cert, key := pair.Write(t, s.folder)
	paths := certfile.Paths{Cert: cert, Key: key}
	if clientCA != nil {
		paths.ClientCA = filepath.Join(s.folder, "ca.pem")
		write(t, paths.ClientCA, clientCA)
	}
	files, err := certfile.Open(paths, host, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.files, s.addr = files, echoes(t, files.Config())
	return s
}

// echoes is the address of a server that sends back what it gets.
func echoes(t *testing.T, conf *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// dial connects and returns the connection after an echo, which also tells that the server took the client's certificate.
func dial(t *testing.T, addr string, cfg *tls.Config) (*tls.Conn, error) {
	t.Helper()
	cfg = cfg.Clone()
	cfg.ServerName = host
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Minute}, Config: cfg}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*tls.Conn), echo(conn)
}

func echo(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func serialOf(t *testing.T, conn *tls.Conn) string {
	t.Helper()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestARenewedCertificateIsServedAndOpenConnectionsStay(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	s := serve(t, ca.Issue(soon(), host), nil)
	old, err := dial(t, s.addr, ca.Trust())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.files.Check(); err != nil {
		t.Errorf("nothing has changed: %v", err)
	}
	ca.Issue(soon(), host).Write(t, s.folder)
	if err := s.files.Check(); err != nil {
		t.Errorf("a good pair: %v", err)
	}
	renewed, err := dial(t, s.addr, ca.Trust())
	if err != nil {
		t.Fatal(err)
	}
	if serialOf(t, renewed) == serialOf(t, old) {
		t.Error("the old certificate is still served")
	}
	if err := echo(old); err != nil {
		t.Errorf("the connection from before was dropped: %v", err)
	}
}

func TestAPairThatCannotBeUsedLeavesTheOneBeforeInPlace(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	first, other := ca.Issue(soon(), host), ca.Issue(soon(), host)
	for name, c := range map[string]struct {
		pair certtest.Pair
		want string
	}{
		"no PEM":            {certtest.Pair{Cert: []byte("x"), Key: first.Key}, "no certificate with its key in PEM"},
		"another key":       {certtest.Pair{Cert: first.Cert, Key: other.Key}, "does not match"},
		"half written":      {certtest.Pair{Cert: other.Cert[:100], Key: other.Key}, "no certificate with its key"},
		"expired":           {ca.Issue(time.Now().Add(-time.Minute), host), "expired on"},
		"an empty key":      {certtest.Pair{Cert: first.Cert}, "no certificate with its key"},
		"expired long past": {ca.Issue(time.Now().Add(-time.Hour*10000), host), "expired on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, first, nil)
			c.pair.Write(t, s.folder)
			for range 2 { // it is said for as long as it is so
				if err := s.files.Check(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "from before stays in use") {
					t.Errorf("says %v", err)
				}
			}
			if _, err := dial(t, s.addr, ca.Trust()); err != nil {
				t.Errorf("the old one is not served: %v", err)
			}
			other.Write(t, s.folder)
			if err := s.files.Check(); err != nil {
				t.Errorf("after the mistake is corrected: %v", err)
			}
		})
	}
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		s := serve(t, first, nil)
		if err := os.Remove(filepath.Join(s.folder, "key.pem")); err != nil {
			t.Fatal(err)
		}
		if err := s.files.Check(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "stays in use") {
			t.Errorf("says %v", err)
		}
	})
}

func TestWhatAnOperatorShouldKnowIsSaid(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	for name, c := range map[string]struct {
		pair certtest.Pair
		want string
	}{
		"it ends in 13 days": {ca.Issue(time.Now().Add(13*24*time.Hour), host), "expires on"},
		"it ends in 15 days": {ca.Issue(time.Now().Add(15*24*time.Hour), host), ""},
		"it has ended":       {ca.Issue(time.Now().Add(-time.Hour), host), "browsers refuse it"},
		"another name":       {ca.Issue(soon(), "other.example.com"), "is not for " + host},
	} {
		s := serve(t, c.pair, nil)
		switch err := s.files.Check(); {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOldVersionsOfTLSAreRefused(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	s := serve(t, ca.Issue(soon(), host), nil)
	for version, taken := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		cfg := ca.Trust()
		cfg.MinVersion, cfg.MaxVersion = version, version
		if _, err := dial(t, s.addr, cfg); (err == nil) != taken {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

func TestClientsNeedACertificateOfTheAuthority(t *testing.T) {
	t.Parallel()
	ca, strangers := certtest.New(t), certtest.New(t)
	s := serve(t, ca.Issue(soon(), host), ca.PEM)
	with := func(pair *certtest.Pair) *tls.Config {
		cfg := ca.Trust()
		if pair != nil {
			cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
			if err != nil {
				t.Fatal(err)
			}
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		return cfg
	}
	own, foreign, expired := ca.Issue(soon(), "ann"), strangers.Issue(soon(), "ann"), ca.Issue(time.Now().Add(-time.Minute), "ann")
	for name, c := range map[string]struct {
		pair  *certtest.Pair
		taken bool
	}{"its own": {&own, true}, "none": {nil, false}, "another authority's": {&foreign, false}, "an expired one": {&expired, false}} {
		if _, err := dial(t, s.addr, with(c.pair)); (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, filepath.Join(s.folder, "ca.pem"), strangers.PEM)
	if err := s.files.Check(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, s.addr, with(&foreign)); err != nil {
		t.Errorf("after the authority has changed: %v", err)
	}
}

func TestFilesThatCannotBeUsedAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	folder := t.TempDir()
	cert, key := ca.Issue(soon(), host).Write(t, folder)
	for name, paths := range map[string]certfile.Paths{
		"no such file":          {Cert: cert, Key: filepath.Join(folder, "gone")},
		"a key for both":        {Cert: key, Key: key},
		"a key for authorities": {Cert: cert, Key: key, ClientCA: key},
	} {
		if _, err := certfile.Open(paths, "", time.Now); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
