package nomad

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/cotrain/cotrain/internal/fault"
)

// untrusted is what an operator has to know of an error about certificates, nil for any other.
func untrusted(err error) error {
	var verification *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &verification):
		return fault.New(fault.ErrNomadUnreachable, fmt.Sprintf("Nomad's certificate is not accepted: %s.", clean(verification.Err.Error())),
			"Check nomad.ca_cert (NOMAD_CACERT), nomad.tls_server_name (NOMAD_TLS_SERVER_NAME), and that the certificate has not expired.").Because(err)
	case errors.As(err, &alert) && alert.Op == "remote error": // as crypto/tls names what the other side says
		return fault.New(fault.ErrNomadUnreachable, fmt.Sprintf("Nomad ended the TLS handshake: %s.", clean(alert.Err.Error())),
			"Check nomad.client_cert (NOMAD_CLIENT_CERT) and nomad.client_key (NOMAD_CLIENT_KEY): Nomad may ask for a certificate of its own authority.").Because(err)
	}
	return nil
}

// configureTLS reads the certificates into t.
func configureTLS(t *http.Transport, cfg Config) error {
	conf := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: cfg.TLSServerName,
		InsecureSkipVerify: cfg.SkipVerify, //nolint:gosec // the operator asked for it by name
	}
	if cfg.CACert != "" {
		pem, err := os.ReadFile(cfg.CACert)
		if err != nil {
			return fmt.Errorf("read Nomad's CA certificate: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("Nomad's CA certificate %s: %w: no PEM certificate in it", cfg.CACert, fault.ErrInvalid) //nolint:staticcheck // a name
		}
	}
	if (cfg.ClientCert == "") != (cfg.ClientKey == "") {
		return fmt.Errorf("client certificate for Nomad: %w: give both the certificate and its key, or neither", fault.ErrInvalid)
	}
	if cfg.ClientCert != "" {
		// Read per handshake, so renewed certificates work without a restart.
		certFile, keyFile := cfg.ClientCert, cfg.ClientKey
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				return nil, fmt.Errorf("read the client certificate for Nomad: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return err
		}
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	t.TLSClientConfig = conf
	return nil
}
