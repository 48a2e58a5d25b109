package certfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// Client is what a client of some server trusts, and how it proves who it is. Files are in PEM.
type Client struct {
	CACert     string // authority of the server's certificate; "" for those that the machine trusts
	Cert, Key  string // its own certificate, "" for none
	ServerName string // in the server's certificate, "" for the host that is asked
	SkipVerify bool   // accepts any certificate
}

// Config reads the files. Its own certificate is read for each handshake, so that a renewed one needs no restart.
func (c Client) Config() (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: c.ServerName,
		InsecureSkipVerify: c.SkipVerify, //nolint:gosec // the operator asked for it by name
	}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read the CA certificate: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("there is no certificate in PEM in %s", c.CACert)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("give both the client certificate and its key, or neither")
	}
	if c.Cert != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
			if err != nil {
				return nil, fmt.Errorf("read the client certificate: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return conf, nil
}

// Problem is what a connection error says of TLS, "" if nothing: of the server's certificate, or what the server says of the
// client's.
func Problem(err error) (text string, ofServer bool) {
	var verification *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &verification):
		return verification.Err.Error(), true
	case errors.As(err, &alert) && alert.Op == "remote error": // as crypto/tls names what the other side says
		return alert.Err.Error(), false
	}
	return "", false
}
