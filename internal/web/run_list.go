package web

import (
	"net/http"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views"
)

// listSize is how many runs a page of the list has.
const listSize = 50

// handleRunList shows runs, newest first, filtered by the query's q, state and before.
func (s *Server) handleRunList(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	list := views.RunList{Text: text(q.Get("q"), 200), Seq: s.Feed.Seq(feed.RunsTopic), Now: s.Now()}
	filter := run.RunFilter{Text: list.Text, Limit: listSize + 1}
	if v := q.Get("state"); v != "" {
		state, err := run.ParseState(v)
		if err != nil {
			return err
		}
		list.State, filter.States = state, []run.State{state}
	}
	if v := q.Get("before"); v != "" {
		id, err := run.ParseID(v)
		if err != nil {
			return badCursor(v, "the ID of a run")
		}
		list.Before, filter.Before = id, id
	}
	var err error
	if list.Counts, err = s.Runs.CountRuns(r.Context()); err != nil {
		return err
	}
	if list.Runs, err = s.Runs.Runs(r.Context(), filter); err != nil {
		return err
	}
	if len(list.Runs) > listSize {
		list.Runs = list.Runs[:listSize]
		list.Older = list.Runs[listSize-1].ID
	}
	if err := s.Runs.Lines(r.Context(), list.Runs); err != nil {
		return err
	}
	if r.Header.Get("HX-Request") == "true" {
		w.Header().Set("HX-Push-Url", list.Href())
	}
	return s.render(w, r, http.StatusOK, views.RunListPage(s.page(r, "Runs", "runs"), list))
}

// badCursor tells a value of the parameter before, which is not what the links of a list have.
func badCursor(value, what string) error {
	return run.FieldErrors{{Field: "before", Value: text(value, 60), Rule: "is not " + what, Fix: "leave it out to begin with the newest"}}
}
