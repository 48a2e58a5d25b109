package audit

import (
	"strconv"

	"github.com/cotrain/cotrain/internal/fault"
)

// CSVHeader names the columns of [Row.CSV].
func CSVHeader() []string {
	return []string{"seq", "at", "logged", "user", "name", "token", "session", "address", "agent", "request", "action", "project", "subject", "outcome", "reason", "before", "after", "hash"}
}

// CSV is the row for a table in CSV. Its texts are cells as of [fault.Cell].
func (r Row) CSV() []string {
	a := r.Actor
	out := []string{
		strconv.FormatInt(r.Seq, 10), r.At.UTC().Format(timeForm), r.Logged.UTC().Format(timeForm), string(a.User), a.Name, string(a.Token), a.Session, a.Address, a.Agent,
		r.Request, r.Action, r.Project, r.Subject, string(r.Outcome), r.Reason, string(r.Before), string(r.After), r.Hash.String(),
	}
	for i, text := range out {
		out[i] = fault.Cell(text)
	}
	return out
}
