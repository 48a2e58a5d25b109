package page

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// FilterParams are the parameters by which addresses filter runs, but for the project and the days.
var FilterParams = [...]string{"q", "owner", "state", "tag", "model", "node", "within", "archived"}

// ReadFilter reads which runs an address asks for, but for the project. Its days are in the parameters from and to, the last one
// included. Its errors are all [run.FieldErrors].
func ReadFilter(q url.Values, now time.Time, from, to string) (f run.RunFilter, err error) {
	f = run.RunFilter{Text: Text(q.Get("q"), 200), Owner: Text(q.Get("owner"), 127), Model: Text(q.Get("model"), 200), Node: Text(q.Get("node"), 200), Archived: run.WithoutArchived}
	var errs run.FieldErrors
	add := func(err error) { errs = append(errs, fieldErrors(err)...) }
	switch v := q.Get("archived"); v {
	case "", "no":
	case "all":
		f.Archived = run.WithArchived
	case "only":
		f.Archived = run.OnlyArchived
	default:
		add(run.FieldError{Field: "archived", Value: fault.Quote(Text(v, 40)), Rule: "is not no, all or only", Fix: "use all to see archived runs, too"})
	}
	for _, given := range q["state"] {
		if given == "" {
			continue
		}
		state, err := run.ParseState(given)
		if add(err); err == nil {
			f.States = append(f.States, state)
		}
	}
	for _, given := range q["tag"] {
		f.Tags = append(f.Tags, run.SplitTags(Text(given, 1000))...)
	}
	slices.Sort(f.Tags)
	f.Tags = slices.Compact(f.Tags)
	if rule, fix := run.TagsProblem(f.Tags); rule != "" {
		add(run.FieldError{Field: "tag", Value: fault.Quote(strings.Join(f.Tags, ",")), Rule: rule, Fix: fix})
	}
	add(readDays(&f, q, now, from, to))
	if len(errs) > 0 {
		return f, errs
	}
	return f, nil
}

// readDays reads when the runs were created.
func readDays(f *run.RunFilter, q url.Values, now time.Time, from, to string) (err error) {
	if f.Since, err = run.ParseTime(from, Text(q.Get(from), 40)); err != nil {
		return err
	}
	last := Text(q.Get(to), 40)
	if f.Until, err = run.ParseTime(to, last); err != nil {
		return err
	}
	if len(last) == len(time.DateOnly) {
		f.Until = f.Until.AddDate(0, 0, 1)
	}
	now = now.UTC()
	span := q.Get("within")
	within, ok := map[string]time.Time{"": {}, "today": now.Truncate(24 * time.Hour), "7d": now.AddDate(0, 0, -7), "30d": now.AddDate(0, 0, -30)}[span]
	if !ok {
		return run.FieldError{Field: "within", Value: fault.Quote(Text(span, 40)), Rule: "is not today, 7d or 30d", Fix: "use one of them, or give a day in " + from}
	}
	if within.After(f.Since) {
		f.Since = within
	}
	return nil
}

func fieldErrors(err error) run.FieldErrors {
	var one run.FieldError
	if errors.As(err, &one) {
		return run.FieldErrors{one}
	}
	var all run.FieldErrors
	errors.As(err, &all)
	return all
}
