// Package certfile serves TLS with a certificate from files that others renew, or from an authority that signs another one in time.
// Connections stay open, and a certificate that cannot be used leaves the one before it in place.
package certfile
