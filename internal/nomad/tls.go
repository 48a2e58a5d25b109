package nomad

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

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
