package certfile

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// againMax is the longest wait after a failure to renew.
const againMax = 5 * time.Minute

// shortest is how long a certificate has to last: it is renewed after two thirds, as seen by the next check.
const shortest = 3 * checkEvery

// maxCommonName is as X.509 limits it, in bytes.
const maxCommonName = 64

// Sign has an authority sign a request for a certificate, in PEM. It returns the certificate, then those that link it to the authority.
type Sign func(ctx context.Context, request []byte) ([]byte, error)

// Order is the certificate that is wanted.
type Order struct {
	From     string   // who signs it, for messages: "from pki/sign/cotrain in Vault"
	Names    []string // and addresses
	ClientCA string   // file with the authorities of the clients; "" to ask for no certificates
	Host     string   // as with [Open]
}

// Signed is a certificate that an authority signs, and another one in time. Its key is made here, anew for each, and is in memory only.
type Signed struct {
	served
	sign   Sign
	order  Order
	next   time.Time // when to renew, or to try again
	failed error     // why it could not be renewed
}

// Get orders the first certificate.
func Get(ctx context.Context, order Order, sign Sign, now func() time.Time) (*Signed, error) {
	s := &Signed{served: served{from: order.From, host: order.Host, now: now}, sign: sign, order: order}
	ca, err := readFile(order.ClientCA)
	if err != nil {
		return nil, err
	}
	return s, s.renew(ctx, ca)
}

// Watch renews the certificate until ctx ends. It reports why that fails, or what an operator should know of the certificate in use, nil
// for nothing; often the same.
func (s *Signed) Watch(ctx context.Context, report func(error)) error {
	return watch(ctx, report, s.Check)
}

// Check renews the certificate if it is time, and follows the file with the authorities of clients. It returns as [Files.Check] does.
func (s *Signed) Check(ctx context.Context) error {
	ca, err := readFile(s.order.ClientCA)
	if old := s.inUse.Load(); err == nil && !old.sameCA(ca) {
		var l *loaded
		if l, err = load(old.pair, s.order.ClientCA, ca); err == nil {
			s.inUse.Store(l)
		}
	}
	if err != nil {
		return fmt.Errorf("%w; the authorities from before stay in use", err)
	}
	if !s.now().Before(s.next) {
		if s.failed = s.renew(ctx, ca); s.failed != nil {
			leaf := s.inUse.Load().pair.Leaf
			s.next = s.now().Add(jitter(min(againMax, max(checkEvery, leaf.NotAfter.Sub(leaf.NotBefore)/20))))
		}
	}
	c := s.complaint()
	switch {
	case s.failed == nil:
		return c
	case c == nil:
		c = fmt.Errorf("it lasts until %s", day(s.inUse.Load().pair.Leaf.NotAfter))
	}
	return fmt.Errorf("the certificate %s cannot be renewed: %s; %w", s.from, strings.TrimSuffix(text(s.failed), "."), c)
}

// text is an error as people may read it.
func text(err error) string {
	if told := (*fault.Error)(nil); errors.As(err, &told) {
		return told.Text()
	}
	return err.Error()
}

// jitter is d, or up to a tenth less, so that not all consoles come at once.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(mathrand.Int64N(int64(d/10)+1)) //nolint:gosec // spreads load
}

// renew replaces the certificate, unless the answer cannot be used.
func (s *Signed) renew(ctx context.Context, ca []byte) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	request, err := s.order.request(key)
	if err != nil {
		return fmt.Errorf("make a request for a certificate: %w", err)
	}
	chain, err := s.sign(ctx, request)
	if err != nil {
		return err
	}
	keyText, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode the key: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyText}))
	if err != nil {
		return fmt.Errorf("the answer is no certificate for the key that it was asked for: %w", err)
	}
	if err := s.order.fits(pair); err != nil {
		return err
	}
	now := s.now()
	if err := s.outOfDate(pair.Leaf, now); err != nil {
		return err
	}
	if left := pair.Leaf.NotAfter.Sub(now); left < shortest {
		return fault.New(fault.ErrInvalid, fmt.Sprintf("The certificate %s lasts for %s only, too short to be renewed in time.", s.from, left.Round(time.Second)),
			"Have the role, and tls.vault_ttl, allow an hour or more.")
	}
	l, err := load(pair, s.order.ClientCA, ca)
	if err != nil {
		return err
	}
	s.next = now.Add(jitter(pair.Leaf.NotAfter.Sub(now) * 2 / 3))
	s.inUse.Store(l)
	return nil
}

func (o Order) request(key *ecdsa.PrivateKey) ([]byte, error) {
	var r x509.CertificateRequest
	for _, name := range o.Names {
		if ip := net.ParseIP(name); ip != nil {
			r.IPAddresses = append(r.IPAddresses, ip)
		} else {
			r.DNSNames = append(r.DNSNames, name)
		}
	}
	if len(r.DNSNames) > 0 && len(r.DNSNames[0]) <= maxCommonName {
		r.Subject = pkix.Name{CommonName: r.DNSNames[0]}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &r, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), err
}

// fits refuses a certificate that lacks a name, or does not link to those that come with it.
func (o Order) fits(pair tls.Certificate) error {
	for _, name := range o.Names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			return fmt.Errorf("the certificate %s is not for %s", o.From, name)
		}
	}
	child := pair.Leaf
	for _, der := range pair.Certificate[1:] {
		parent, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("the certificate %s comes with another one that cannot be read: %w", o.From, err)
		}
		if !bytes.Equal(child.RawIssuer, parent.RawSubject) || child.CheckSignatureFrom(parent) != nil {
			return fmt.Errorf("the certificate %s comes with others that did not sign it", o.From)
		}
		child = parent
	}
	return nil
}
