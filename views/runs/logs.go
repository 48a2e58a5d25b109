package runs

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// Logs is a page of a run's log, and what may be asked of the rest.
type Logs struct {
	Run    run.Run
	Filter run.LogFilter // without what it finds, unless Only
	Find   run.LogPattern
	Only   bool // only lines that match Find
	run.LogPage
	Fate     run.LogFate
	Until    run.LogPos // last line of the range that was asked for, 0 for none
	Errors   run.FieldErrors
	Attempts []run.Attempt
	Events   []run.Event // that say where in a log to look, oldest first
}

// maxLogRanks bounds the workers to choose from.
const maxLogRanks = 512

// MaxPanes is how many workers are read side by side at most.
const MaxPanes = 4

func (l Logs) path() string { return TabLogs.Path(l.Run.ID) }

// with is the address of this page with another value of one parameter, and without a place.
func (l Logs) with(name, value string) string {
	q := l.values()
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	return address(l.path(), q)
}

// values are the parameters of the page, as [run.ParseLogFilter] reads them, and whether only what matches is shown.
func (l Logs) values() url.Values {
	f := l.Filter
	f.Find = l.Find
	q := f.Values()
	if l.Only && l.Find.Text != "" {
		q.Set("only", "1")
	}
	return q
}

func address(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// download is the address of the lines that the page shows, or of those that match, in a format.
func (l Logs) download(format, compress string, matches bool) string {
	f := l.Filter
	if matches {
		f.Find = l.Find
	}
	q := f.Values()
	if !f.Machine {
		q.Set("machine", "0")
	}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("format", format)
	set("compress", compress)
	return address(ui.RunPath(l.Run.ID)+"/log.txt", q)
}

// firstLine is where the lines before these begin, and nextLine where those after them do.
func (l Logs) firstLine() string { return strconv.FormatInt(max(0, l.First-int64(len(l.Lines))), 10) }

func (l Logs) nextLine() string { return strconv.FormatInt(l.First+int64(len(l.Lines)), 10) }

func (l Logs) later() bool { return l.First+int64(len(l.Lines)) < l.Total }

func (l Logs) ranks() int { return min(max(1, l.Run.Shape.Nodes), maxLogRanks) }

// marked reports whether a line was asked for, alone or in a range.
func (l Logs) marked(line run.LogLine) bool {
	return line.Pos == l.Spot && l.Spot != 0 || l.Spot != 0 && line.Pos > l.Spot && line.Pos <= l.Until
}

// Bad reports whether something is wrong with a field.
func (l Logs) Bad(field string) bool { return l.problem(field) != "" }

// problem is what is wrong with a field, "" for nothing.
func (l Logs) problem(field string) string {
	i := slices.IndexFunc(l.Errors, func(e run.FieldError) bool { return e.Field == field })
	if i < 0 {
		return ""
	}
	return l.Errors[i].Rule + ": " + l.Errors[i].Fix
}

// unread is what was not searched, "" for nothing.
func (l Logs) unread() string {
	switch {
	case !l.Only || l.Lost == 0:
		return ""
	case l.Lost == 1:
		return "1 block of the log cannot be read, its lines are not searched."
	}
	return strconv.Itoa(l.Lost) + " blocks of the log cannot be read, their lines are not searched."
}

// level is the class and the mark of a line that matters.
func level(l run.LogLevel) (class, mark, title string) {
	switch l {
	case run.LevelWarning:
		return "log-warning", "W", "Warning"
	case run.LevelError:
		return "log-error", "E", "Error"
	case run.LevelMachine:
		return "log-machine", "", ""
	default:
		return "", "", ""
	}
}

// lineID is the position of a line, in addresses and attributes.
func lineID(p run.LogPos) string { return strconv.FormatInt(int64(p), 10) }

// lastPos is the position of the newest of some lines.
func lastPos(lines []run.LogLine) string {
	if len(lines) == 0 {
		return "0"
	}
	return lineID(lines[len(lines)-1].Pos)
}

// logURL is where a page's script asks about a run's log; see the handlers of /runs/{id}/log/.
func logURL(r run.Run) string { return ui.RunPath(r.ID) + "/log/" }

// at is a moment, in addresses.
func at(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// attemptLabel names an attempt.
func attemptLabel(a run.Attempt) string { return fmt.Sprintf("Attempt %d", a.Number) }

// eventMark is what an event is on the overview of a log: restart, failure, checkpoint or news.
func eventMark(e run.Event) string {
	switch {
	case strings.Contains(e.Kind, "checkpoint"):
		return "checkpoint"
	case e.Level == "error" || e.To == run.Failed:
		return "failure"
	case strings.Contains(e.Kind, "restart") || e.Kind == "state" && e.To == run.Running:
		return "restart"
	default:
		return "news"
	}
}

// rankColour is the class of a worker's colour: there are eight.
func rankColour(rank int) string { return "rank-" + strconv.Itoa(rank%8) }
