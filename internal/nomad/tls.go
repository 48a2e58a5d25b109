package nomad

import (
	"fmt"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

// untrusted is what an operator has to know of an error about certificates, nil for any other.
func untrusted(err error) error {
	switch text, ofServer := certfile.Problem(err); {
	case text == "":
		return nil
	case ofServer:
		return fault.New(fault.ErrNomadUnreachable, fmt.Sprintf("Nomad's certificate is not accepted: %s.", clean(text)),
			"Check nomad.ca_cert (NOMAD_CACERT), nomad.tls_server_name (NOMAD_TLS_SERVER_NAME), and that the certificate has not expired.").Because(err)
	default:
		return fault.New(fault.ErrNomadUnreachable, fmt.Sprintf("Nomad ended the TLS handshake: %s.", clean(text)),
			"Check nomad.client_cert (NOMAD_CLIENT_CERT) and nomad.client_key (NOMAD_CLIENT_KEY): Nomad may ask for a certificate of its own authority.").Because(err)
	}
}
