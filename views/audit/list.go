package audit

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Path is the address of the page.
const Path = "/admin/audit"

// exportPath is where the API exports.
const exportPath = "/api/v1/audit/export"

// List is what the page shows.
type List struct {
	Query    Query
	Page     audit.Page
	Verified audit.Verified
	Now      time.Time
}

// Query is the filter as it was typed.
type Query struct {
	Text, Actor, Action, Project, Subject, Address, Outcome string
	Since, Until                                            string // days, as 2026-01-31
	Before                                                  string
}

// fields are the parameters of a query.
func (q Query) fields() []struct{ name, value string } {
	return []struct{ name, value string }{
		{"text", q.Text}, {"actor", q.Actor}, {"action", q.Action}, {"project", q.Project}, {"subject", q.Subject}, {"address", q.Address}, {"outcome", q.Outcome}, {"since", q.Since}, {"until", q.Until},
	}
}

func (q Query) values() url.Values {
	v := url.Values{}
	for _, f := range q.fields() {
		if f.value != "" {
			v.Set(f.name, f.value)
		}
	}
	return v
}

// filtered reports whether anything but a text is asked for.
func (q Query) filtered() bool {
	v := q.values()
	v.Del("text")
	return len(v) > 0
}

func (q Query) empty() bool { return len(q.values()) == 0 }

func (q Query) older(next int64) string {
	v := q.values()
	v.Set("before", strconv.FormatInt(next, 10))
	return Path + "?" + v.Encode()
}

func (q Query) newest() string {
	if v := q.values(); len(v) > 0 {
		return Path + "?" + v.Encode()
	}
	return Path
}

// export is the address of what the filter finds, in a format.
func (q Query) export(format string) string {
	v := q.values()
	for name, days := range map[string]int{"since": 0, "until": 1} {
		if at, err := time.Parse(time.DateOnly, v.Get(name)); err == nil {
			v.Set(name, at.AddDate(0, 0, days).Format(time.RFC3339))
		}
	}
	v.Set("format", format)
	return exportPath + "?" + v.Encode()
}

// verdict says how far the log is verified: a kind of note, and words.
func (l List) verdict() (kind, text string) {
	v := l.Verified
	switch {
	case v.At.IsZero(), v.Entries == 0 && len(l.Page.Rows) > 0:
		return "info", "Not verified yet. New entries are verified every minute."
	case !v.OK():
		return "danger", fmt.Sprintf("The chain is broken: %s", v.Findings())
	case v.Entries == 0:
		return "info", "No entries to verify."
	case !v.Whole:
		return "info", fmt.Sprintf("Chain verified up to entry %s; the rest follows.", ui.Integer(int(v.Last)))
	}
	return "success", fmt.Sprintf("Chain verified up to entry %s", ui.Integer(int(v.Last)))
}

// subjectPath is where the subject of an entry can be seen, "" for nowhere.
func subjectPath(subject string) string {
	kind, name, _ := strings.Cut(subject, ":")
	switch kind {
	case "run":
		if id, err := run.ParseID(name); err == nil {
			return ui.RunPath(id)
		}
	case "sweep":
		if id, err := run.ParseSweepID(name); err == nil {
			return ui.SweepPath(id)
		}
	case "template":
		if run.CheckTemplateName(name) == nil {
			return ui.TemplatePath(name)
		}
	}
	return ""
}

// maxShown is how much of a value a page shows, in bytes.
const maxShown = 500

func shown(text string) string { return fault.Clip(text, maxShown) }

func outcomeIcon(o audit.Outcome) string {
	switch o {
	case audit.Done:
		return "succeeded"
	case audit.Refused:
		return "stopped"
	}
	return "failed"
}

// from is where a request came from, beside its actor.
func from(a audit.Actor) string {
	var parts []string
	if a.Token != "" {
		parts = append(parts, "token "+string(a.Token))
	}
	if a.Address != "" {
		parts = append(parts, a.Address)
	}
	return strings.Join(parts, " · ")
}

func who(a audit.Actor) string {
	if a.Name == "" {
		return "nobody"
	}
	return a.Name
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return strconv.Itoa(n) + " changes"
}

// details are what is told of an entry when it is opened.
func details(r audit.Row) []ui.Fact {
	var out []ui.Fact
	for _, f := range []struct{ label, value string }{
		{"Done", r.At.Format("2006-01-02 15:04:05.000 UTC")}, {"Logged", loggedLater(r)}, {"Reason", r.Reason}, {"Request", r.Request}, {"Session", r.Actor.Session}, {"Browser", r.Actor.Agent}, {"Hash", r.Hash.String()},
	} {
		if f.value != "" {
			out = append(out, ui.Fact{Label: f.label, Value: f.value})
		}
	}
	return out
}

// loggedLater is when an entry was logged, if that was not at once.
func loggedLater(r audit.Row) string {
	if r.Logged.Sub(r.At) < time.Second {
		return ""
	}
	return r.Logged.Format("2006-01-02 15:04:05.000 UTC")
}
