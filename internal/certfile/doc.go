// Package certfile serves TLS with a certificate from files, and follows their changes. Whoever renews it only has to
// replace the files: connections stay open, and a pair that cannot be used leaves the one before it in place.
package certfile
