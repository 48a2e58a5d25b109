package web

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"strconv"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	maxLogPage   = 2000
	downloadPage = 5000
)

// handleRunLogs returns lines as JSON: the newest, those before a place, or those after one (after=0: the first). More says
// whether there are others on the far side of them.
func (s *Server) handleRunLogs(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	q := run.LogQuery{Rank: rankOf(r), Tail: true}
	limit, err := number(r, "limit", logShown, 1, maxLogPage)
	if err != nil {
		return err
	}
	before, err := number(r, "before", 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	q.Limit, q.Before = int(limit)+1, run.LogPos(before)
	if r.URL.Query().Has("after") {
		after, err := number(r, "after", 0, 0, math.MaxInt64)
		if err != nil {
			return err
		}
		q.Tail, q.After = false, run.LogPos(after)
	}
	if _, err := s.Runs.Run(r.Context(), id); err != nil {
		return err
	}
	lines, err := s.Details.Logs(r.Context(), id, q)
	if err != nil {
		return err
	}
	more := len(lines) > int(limit)
	switch {
	case more && q.Tail:
		lines = lines[1:]
	case more:
		lines = lines[:limit]
	}
	if lines == nil {
		lines = []run.LogLine{}
	}
	return renderJSON(w, http.StatusOK, map[string]any{"lines": lines, "more": more})
}

// handleRunLogDownload streams the whole log as text: one worker's lines as they are, all workers' with their rank.
func (s *Server) handleRunLogDownload(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if _, err := s.Runs.Run(r.Context(), id); err != nil {
		return err
	}
	q := run.LogQuery{Rank: rankOf(r), Limit: downloadPage}
	name := string(id)
	if q.Rank >= 0 {
		name += "-worker-" + strconv.Itoa(q.Rank)
	}
	lines, err := s.Details.Logs(r.Context(), id, q)
	if err != nil {
		return err
	}
	attachment(w, name+".log", "text/plain; charset=utf-8")
	out := bufio.NewWriter(w)
	for len(lines) > 0 {
		for _, l := range lines {
			if q.Rank < 0 {
				_, err = fmt.Fprintf(out, "[%d] %s\n", l.Rank, l.Text)
			} else {
				_, err = fmt.Fprintln(out, l.Text)
			}
			if err != nil {
				return nil // the reader has gone
			}
		}
		if len(lines) < q.Limit {
			break
		}
		q.After = lines[len(lines)-1].Pos
		if lines, err = s.Details.Logs(r.Context(), id, q); err != nil {
			return err
		}
	}
	_ = out.Flush() // the reader has gone: nobody is left to tell
	return nil
}

// handleRunConfig downloads the configuration as it was dispatched.
func (s *Server) handleRunConfig(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	found, err := s.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	attachment(w, string(id)+".toml", "application/toml")
	_, _ = w.Write([]byte(found.Config)) // the reader has gone: nobody is left to tell
	return nil
}

// attachment makes the answer a file. The name is made of an ID's characters only.
func attachment(w http.ResponseWriter, name, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Cache-Control", "no-store")
}

// handleRunPoints returns the curves of the run's page, in the form of the socket's samples.
func (s *Server) handleRunPoints(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	seq := s.Feed.Seq(feed.RunTopic(id))
	shown, err := s.Runs.Run(r.Context(), id)
	if err != nil {
		return err
	}
	loss, err := s.Details.Curve(r.Context(), id, "loss", 0)
	if err != nil {
		return err
	}
	throughput, err := s.Details.Curve(r.Context(), id, "tokens_per_second", 0)
	if err != nil {
		return err
	}
	return renderJSON(w, http.StatusOK, columnsOf(seq, thin(run.Settled(loss, shown.Progress.Step)), thin(run.Settled(throughput, shown.Progress.Step))))
}

// number reads a whole number from the query.
func number(r *http.Request, name string, otherwise, low, high int64) (int64, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < low || n > high {
		return 0, run.FieldErrors{{Field: name, Value: text(v, 40), Rule: fmt.Sprintf("is not a whole number from %d to %d", low, high), Fix: fmt.Sprintf("use %d", otherwise)}}
	}
	return n, nil
}
