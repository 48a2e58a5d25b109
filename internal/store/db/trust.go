package db

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// untrusted says why a connection to PostgreSQL is not secure enough to be used: nil for any other error.
func untrusted(err error) *fault.Error {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	what, fix := "", ""
	switch {
	case errors.As(err, &name):
		what = fmt.Sprintf("The PostgreSQL server's certificate is not for %s.", fault.Quote(name.Host))
		fix = "Use in database.url a name that the certificate has, or give the server one for this name"
	case errors.As(err, &authority):
		what = "The PostgreSQL server's certificate is of an authority that the console does not trust."
		fix = "Set database.ssl_root_cert to the file with that authority's certificate"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		what = fmt.Sprintf("The PostgreSQL server's certificate is valid from %s to %s only.", day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter))
		fix = "Renew it there, and check the clock here"
	case errors.As(err, &invalid):
		what = "The PostgreSQL server's certificate is not valid for a server."
		fix = "Give the server another one"
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "server refused TLS"): // pgx has no types for these
		what = "The PostgreSQL server and the console do not agree on TLS."
		fix = "Check database.ssl_mode, database.ssl_root_cert, and the server's ssl settings"
	default:
		return nil
	}
	return fault.New(fault.ErrStoreUnavailable, what, fix+goesOn)
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
