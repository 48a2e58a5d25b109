// Package audit holds the words and rules of the audit log: its entries, how they are chained by hashes, and how a chain is
// verified. It does no I/O.
package audit
