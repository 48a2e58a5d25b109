package auditlog

import (
	"github.com/cotrain/cotrain/internal/store/db"
)

// Log is the audit log of a database, safe for concurrent use.
type Log struct {
	db       *db.DB
	alone    alone
	verified verified
}

// New returns the log in a database.
func New(d *db.DB) *Log { return &Log{db: d} }
