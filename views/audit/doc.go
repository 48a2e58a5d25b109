// Package audit is the page of the audit log.
package audit
