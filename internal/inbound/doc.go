// Package inbound tells how a request reached the console: from which address, over TLS or not, under which name and path.
// Behind a trusted proxy that is what the proxy says; whatever anybody else says about it is ignored.
package inbound
