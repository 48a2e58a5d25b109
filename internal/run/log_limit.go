package run

import (
	"fmt"
	"strings"
	"time"
)

// LogGrace is how long after a limit was set or changed it counts: whoever sees on a run's page what it will do can still object, or
// download.
const LogGrace = 24 * time.Hour

// LogLimit is how much of the logs of ended runs is kept, of one project or of all. Logs of runs that live count, and are never deleted.
type LogLimit struct {
	Project string        `json:"project,omitempty"` // "" for all
	Age     time.Duration `json:"-"`                 // after the end of a run; 0 for ever
	Bytes   int64         `json:"bytes,omitempty"`   // as they are stored; 0 without a limit
	Since   time.Time     `json:"since"`             // when it was set so
}

// Any reports whether it limits anything.
func (l LogLimit) Any() bool { return l.Age > 0 || l.Bytes > 0 }

// Counts is from when on logs are deleted by it.
func (l LogLimit) Counts() time.Time { return l.Since.Add(LogGrace) }

// DueAt is when the log of a run that ended is deleted for its age, zero for never.
func (l LogLimit) DueAt(ended time.Time) time.Time {
	if l.Age == 0 || ended.IsZero() {
		return time.Time{}
	}
	if due := ended.Add(l.Age); due.After(l.Counts()) {
		return due
	}
	return l.Counts()
}

func (l LogLimit) of() string {
	if l.Project != "" {
		return "the logs of project " + l.Project
	}
	return "all logs"
}

// DeletedLog is when and why the log of a run was deleted.
type DeletedLog struct {
	At      time.Time `json:"at"`
	Bytes   int64     `json:"bytes"`                       // as it was stored
	Project bool      `json:"project,omitempty"`           // by a limit of its project, not of all
	Age     int64     `json:"retention_seconds,omitempty"` // the limit, if it was that of its age
	Most    int64     `json:"max_bytes,omitempty"`         // and if that of the size of all
}

// Why names the limit.
func (d DeletedLog) Why() string {
	of := ""
	if d.Project {
		of = " of its project"
	}
	if d.Age > 0 {
		return "the retention of " + Days(time.Duration(d.Age)*time.Second) + of
	}
	return "the limit of " + FormatSize(d.Most) + of + ", as one of the oldest"
}

// String says it on the run's page.
func (d DeletedLog) String() string {
	return "Its log was deleted on " + d.At.UTC().Format(time.DateOnly) + " by " + d.Why() + "."
}

// LogFate is what becomes of the log of a run.
type LogFate struct {
	Bytes   int64       `json:"bytes"` // of its sealed part, as it is stored
	Deleted *DeletedLog `json:"deleted,omitempty"`
	// DueAt is when it is deleted for its age, zero for never or while the run lives, by the limit Due.
	DueAt time.Time `json:"due_at,omitzero"`
	Due   LogLimit  `json:"-"`
	// Room is by how much logs can grow until it is deleted as one of the oldest, by the limit Full, if that has Bytes.
	Room int64    `json:"room_bytes,omitempty"`
	Full LogLimit `json:"-"`
}

// Texts say it on the run's page, nothing for a log that is kept.
func (f LogFate) Texts() (out []string) {
	if f.Deleted != nil {
		out = append(out, f.Deleted.String())
	}
	if f.Bytes == 0 {
		return out
	}
	if !f.DueAt.IsZero() {
		of := ""
		if f.Due.Project != "" {
			of = " of its project"
		}
		out = append(out, "Its log is deleted on "+f.DueAt.UTC().Format(time.DateOnly)+" by the retention of "+Days(f.Due.Age)+of+".")
	}
	if f.Full.Bytes > 0 {
		when := "once " + f.Full.of() + " grow by " + FormatSize(f.Room)
		if f.Room == 0 {
			when = "next, as soon as " + f.Full.of() + " grow"
		}
		out = append(out, "Its log is deleted "+when+", beyond the limit of "+FormatSize(f.Full.Bytes)+".")
	}
	return out
}

// LogUsage is how many bytes the logs of a project take as they are stored, or of all with the project "", and what limits them.
type LogUsage struct {
	Project   string `json:"project,omitempty"`
	Bytes     int64  `json:"bytes"`
	MaxBytes  int64  `json:"max_bytes,omitempty"`
	Retention int64  `json:"retention_seconds,omitempty"`
}

// String says it to a person: "1.2 GB of 5 GB, kept for 90 days".
func (u LogUsage) String() string {
	text := FormatSize(u.Bytes)
	if u.MaxBytes > 0 {
		text += " of " + FormatSize(u.MaxBytes)
	}
	if u.Retention > 0 {
		text += ", kept for " + Days(time.Duration(u.Retention)*time.Second) + " after a run's end"
	}
	return text
}

// Limits are what limits them: "at most 5 GB, kept for 90 days after a run's end", "" for nothing.
func (u LogUsage) Limits() string {
	var out []string
	if u.MaxBytes > 0 {
		out = append(out, "at most "+FormatSize(u.MaxBytes))
	}
	if u.Retention > 0 {
		out = append(out, "kept for "+Days(time.Duration(u.Retention)*time.Second)+" after a run's end")
	}
	return strings.Join(out, ", ")
}

// Days writes a retention.
func Days(d time.Duration) string {
	if d%(24*time.Hour) != 0 {
		return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
	}
	if d == 24*time.Hour {
		return "1 day"
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
