// Package forward sends the entries of the audit log to where they are kept beside the console: a syslog server or a webhook. Each
// destination gets every entry at least once and in order, from where it is (a mark in the store), however often it fails.
//
// It stands beside package audit, which does no I/O, and above nothing else: the log comes as an interface.
package forward
