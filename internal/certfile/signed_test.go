package certfile_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/certfile/certtest"
	"github.com/cotrain/cotrain/internal/fault"
)

// signer is an authority that signs what it is asked to, with a clock.
type signer struct {
	root, ca *certtest.Authority
	now      time.Time
	lasts    time.Duration
	requests []*x509.CertificateRequest
	answer   func(request []byte) ([]byte, error) // nil for a good one
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	root := certtest.New(t)
	return &signer{root: root, ca: root.Intermediate(), now: time.Now(), lasts: time.Hour}
}

func (s *signer) time() time.Time { return s.now }

func (s *signer) good(request []byte) []byte {
	return slices.Concat(s.ca.Sign(request, s.now, s.lasts), s.ca.PEM)
}

func (s *signer) sign(_ context.Context, request []byte) ([]byte, error) {
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	s.requests = append(s.requests, csr)
	if s.answer != nil {
		return s.answer(request)
	}
	return s.good(request), nil
}

var order = certfile.Order{From: "from pki/sign/cotrain in Vault", Names: []string{host, "127.0.0.1"}, Host: host}

func (s *signer) get(t *testing.T) *certfile.Signed {
	t.Helper()
	c, err := certfile.Get(t.Context(), order, s.sign, s.time)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASignedCertificateIsRenewedInTimeAndConnectionsStay(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	c := s.get(t)
	addr := echoes(t, c.Config())
	trust := s.root.Trust()
	old, err := dial(t, addr, trust) // with nothing but the root: the intermediate comes along
	if err != nil {
		t.Fatal(err)
	}
	began := s.now
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {35 * time.Minute, 1}, {41 * time.Minute, 2}, {75 * time.Minute, 2}, {82 * time.Minute, 3}} {
		s.now = began.Add(step.after)
		if err := c.Check(t.Context()); err != nil || len(s.requests) != step.asked {
			t.Errorf("after %v: asked %d times, want %d; %v", step.after, len(s.requests), step.asked, err)
		}
	}
	trust.Time = s.time
	renewed, err := dial(t, addr, trust)
	if err != nil {
		t.Fatal(err)
	}
	if serialOf(t, renewed) == serialOf(t, old) {
		t.Error("the old certificate is still served")
	}
	if err := echo(old); err != nil {
		t.Errorf("the connection from before was dropped: %v", err)
	}
	if r := s.requests[0]; r.Subject.CommonName != host || !slices.Equal(r.DNSNames, []string{host}) || len(r.IPAddresses) != 1 || r.IPAddresses[0].String() != "127.0.0.1" {
		t.Errorf("asked for %q, %q, %v", r.Subject.CommonName, r.DNSNames, r.IPAddresses)
	}
	if s.requests[0].PublicKey == s.requests[1].PublicKey || string(s.requests[0].RawSubjectPublicKeyInfo) == string(s.requests[1].RawSubjectPublicKeyInfo) {
		t.Error("a key is used twice")
	}
	if names, until := c.Names(); !slices.Equal(names, []string{"127.0.0.1", host}) || !until.After(s.now) {
		t.Errorf("names %q until %v", names, until)
	}
}

func TestWithoutItsSignerACertificateStaysInUseAndIsComplainedAbout(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	c := s.get(t)
	began := s.now
	s.answer = func([]byte) ([]byte, error) {
		return nil, fault.New(fault.ErrUnavailable, "Vault is sealed.", "Unseal it.").Because(errors.New("internal"))
	}
	says := func(after time.Duration, want ...string) {
		t.Helper()
		s.now = began.Add(after)
		err := c.Check(t.Context())
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "internal") {
				t.Errorf("after %v: %v, want %q", after, err, w)
			}
		}
		if want == nil && err != nil {
			t.Errorf("after %v: %v", after, err)
		}
	}
	says(41*time.Minute, "the certificate from pki/sign/cotrain in Vault cannot be renewed: Vault is sealed. Unseal it; it lasts until ")
	asked := len(s.requests)
	says(41*time.Minute+time.Second, "cannot be renewed")
	if len(s.requests) != asked {
		t.Error("it is asked for again at once")
	}
	says(45*time.Minute, "cannot be renewed")
	if len(s.requests) != asked+1 {
		t.Error("it is not asked for again")
	}
	says(61*time.Minute, "cannot be renewed", "expired on", "browsers refuse it")
	s.answer = nil
	says(66 * time.Minute)
	says(67 * time.Minute)
	if _, until := c.Names(); !until.After(s.now.Add(50 * time.Minute)) {
		t.Errorf("it lasts until %v", until)
	}
}

func TestAnAnswerThatIsNotWhatWasOrderedIsRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	var other []byte // of a key that is not there
	s.answer = func(request []byte) ([]byte, error) {
		other = request
		return s.good(request), nil
	}
	c := s.get(t)
	stranger := certtest.New(t)
	for name, a := range map[string]struct {
		answer func(request []byte) ([]byte, error)
		want   string
	}{
		"nothing":       {func([]byte) ([]byte, error) { return nil, nil }, "no certificate for the key"},
		"no PEM":        {func([]byte) ([]byte, error) { return []byte("<html>"), nil }, "no certificate for the key"},
		"another key's": {func([]byte) ([]byte, error) { return s.good(other), nil }, "no certificate for the key"},
		"over too soon": {func(r []byte) ([]byte, error) { return s.ca.Sign(r, s.now, 5*time.Second), nil }, "s only, too short to be renewed in time"},
		"expired":       {func(r []byte) ([]byte, error) { return s.ca.Sign(r, s.now.Add(-time.Hour), time.Minute), nil }, "expired on"},
		"of the future": {func(r []byte) ([]byte, error) { return s.ca.Sign(r, s.now.Add(time.Hour), time.Hour), nil }, "is valid only from"},
		"another chain": {func(r []byte) ([]byte, error) { return slices.Concat(s.ca.Sign(r, s.now, s.lasts), stranger.PEM), nil }, "others that did not sign it"},
		"a broken chain": {func(r []byte) ([]byte, error) {
			return slices.Concat(s.ca.Sign(r, s.now, s.lasts), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), nil
		}, "cannot be read"},
		"the root as well": {func(r []byte) ([]byte, error) { return slices.Concat(s.good(r), s.root.PEM), nil }, ""},
	} {
		s.answer = a.answer
		s.now = s.now.Add(time.Hour)
		err := c.Check(t.Context())
		if a.want == "" && err != nil || a.want != "" && (err == nil || !strings.Contains(err.Error(), a.want)) {
			t.Errorf("%s: %v, want %q", name, err, a.want)
		}
	}
	narrow := order
	narrow.Names = []string{host}
	s.answer = nil
	signed, err := certfile.Get(t.Context(), narrow, s.sign, s.time)
	if err != nil || signed == nil {
		t.Fatal(err)
	}
	_, err = certfile.Get(t.Context(), order, func(ctx context.Context, _ []byte) ([]byte, error) { return s.sign(ctx, other) }, s.time)
	if err == nil {
		t.Error("the first certificate may be any")
	}
}

func TestARoleThatLeavesNamesOutIsRefused(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	wide := order
	wide.Names = []string{host, "other.example.com"}
	if _, err := certfile.Get(t.Context(), wide, func(_ context.Context, request []byte) ([]byte, error) {
		return s.ca.SignFor(request, s.now, s.lasts, host), nil
	}, s.time); err == nil || !strings.Contains(err.Error(), "is not for other.example.com") {
		t.Errorf("%v", err)
	}
}

func TestAuthoritiesOfClientsAreFollowedBesideASignedCertificate(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	clients, file := certtest.New(t), filepath.Join(t.TempDir(), "ca.pem")
	write(t, file, clients.PEM)
	mutual := order
	mutual.ClientCA = file
	c, err := certfile.Get(t.Context(), mutual, s.sign, s.time)
	if err != nil {
		t.Fatal(err)
	}
	addr := echoes(t, c.Config())
	if _, err := dial(t, addr, s.root.Trust()); err == nil {
		t.Error("a client without a certificate is let in")
	}
	others := certtest.New(t)
	pair := others.Issue(soon(), "ann")
	cert, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	with := s.root.Trust()
	with.Certificates = []tls.Certificate{cert}
	if _, err := dial(t, addr, with); err == nil {
		t.Error("a stranger is let in")
	}
	write(t, file, others.PEM)
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, addr, with); err != nil {
		t.Errorf("after the authority has changed: %v", err)
	}
	write(t, file, []byte("rubbish"))
	if err := c.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "from before stay in use") {
		t.Errorf("%v", err)
	}
	if _, err := dial(t, addr, with); err != nil {
		t.Errorf("after a mistake: %v", err)
	}
}
