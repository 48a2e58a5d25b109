// Package auditlog stores the audit log: it appends entries, in the transactions of what they are about or alone, and searches,
// verifies, exports and removes them. What an entry is, and how entries are chained, is in package audit.
package auditlog
