package runs

import (
	"encoding/json"
	"math"
	"net/http"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
)

// The script of the log's tab asks these four. All take a filter in their query, as [run.ParseLogFilter] reads it; lines are numbered
// from 0 as the filter leaves them.

// shownLine is a line, how many bytes its text has if only the beginning is given, and where in its visible text the pattern is: from and
// to in UTF-16 units.
type shownLine struct {
	run.LogLine
	Bytes int      `json:"bytes,omitempty"`
	Marks [][2]int `json:"marks,omitempty"`
}

// shownPage is a [run.LogPage] with marks.
type shownPage struct {
	run.LogPage
	Lines []shownLine `json:"lines"`
}

// filtered is the run that a request is about, and the lines of its log that it wants.
func (p *Pages) filtered(r *http.Request) (found run.Run, f run.LogFilter, err error) {
	if found, err = p.run(r); err != nil {
		return found, f, err
	}
	f, err = run.ParseLogFilter(r.URL.Query())
	return found, f, err
}

// LogMap answers with how many lines there are, and where.
func (p *Pages) LogMap(w http.ResponseWriter, r *http.Request) error {
	found, f, err := p.filtered(r)
	if err != nil {
		return err
	}
	m, err := p.Store.LogMap(r.Context(), found.ID, f)
	if err != nil {
		return err
	}
	if m.Pieces == nil {
		m.Pieces = []run.LogPiece{}
	}
	return page.JSON(w, http.StatusOK, m)
}

// LogLines answers with lines from a number on (from), around a position (pos), a time (at) or a step (step), or with the last. With mark,
// a pattern is marked in them, and does not choose them: mark, regexp and case are as q. With text, no more bytes are given of each.
func (p *Pages) LogLines(w http.ResponseWriter, r *http.Request) error {
	found, f, err := p.filtered(r)
	if err != nil {
		return err
	}
	limit, err := page.Number(r, "limit", logShown, 1, maxLogPage)
	if err != nil {
		return err
	}
	spot, err := p.placeOf(r, found.ID)
	if err != nil {
		return err
	}
	most, err := page.Number(r, "text", maxLineText, 1, maxLineText)
	if err != nil {
		return err
	}
	marker, err := logarchive.NewMatcher(run.LogFilter{Find: run.LogPattern{Text: r.URL.Query().Get("mark"), Regexp: r.URL.Query().Get("regexp") != "", Case: r.URL.Query().Get("case") != ""}})
	if err != nil {
		return err
	}
	got, err := p.Store.LogLines(r.Context(), found.ID, f, spot, int(limit))
	if err != nil {
		return err
	}
	out := shownPage{LogPage: got, Lines: make([]shownLine, len(got.Lines))}
	for i, l := range got.Lines {
		out.Lines[i] = shownLine{LogLine: l, Marks: marker.Marks(l.Text)}
		if whole := len(l.Text); whole > int(most) {
			out.Lines[i].Text, out.Lines[i].Bytes = fault.Cut(l.Text, int(most)), whole
		}
	}
	return page.JSON(w, http.StatusOK, out)
}

// maxLineText is more than a line has.
const maxLineText = 1 << 30

// placeOf is where a request wants to read.
func (p *Pages) placeOf(r *http.Request, id run.ID) (spot run.LogSpot, err error) {
	if r.URL.Query().Has("from") {
		from, err := page.Number(r, "from", 0, 0, math.MaxInt64)
		spot.Line = &from
		return spot, err
	}
	pos, err := page.Number(r, "pos", 0, 0, math.MaxInt64)
	if spot.Pos = run.LogPos(pos); err != nil || pos > 0 {
		return spot, err
	}
	spot.At, err = p.moment(r.Context(), id, r)
	return spot, err
}

// LogFind answers with the next line behind a position (after), or the last before one (before), and its number among the lines of the
// same filter without the pattern.
func (p *Pages) LogFind(w http.ResponseWriter, r *http.Request) error {
	found, f, err := p.filtered(r)
	if err != nil {
		return err
	}
	back := r.URL.Query().Has("before")
	name := "after"
	if back {
		name = "before"
	}
	from, err := page.Number(r, name, 0, 0, math.MaxInt64)
	if err != nil {
		return err
	}
	line, ok, err := p.Store.FindLog(r.Context(), found.ID, f, run.LogPos(from), back)
	if err != nil {
		return err
	}
	if !ok {
		return page.JSON(w, http.StatusOK, map[string]any{"found": false})
	}
	return page.JSON(w, http.StatusOK, map[string]any{"found": true, "line": line})
}

// LogDownload sends lines as a file, as [logfile.Parse] reads it.
func (p *Pages) LogDownload(w http.ResponseWriter, r *http.Request) error {
	found, err := p.run(r)
	if err != nil {
		return err
	}
	f, err := logfile.Parse(r.URL.Query())
	if err != nil {
		return err
	}
	return f.Serve(w, r, p.Store, found.ID)
}

// LogSearch streams how far a search has come as JSON lines, a [run.LogFound] for each piece of the log, then {"done":true}. What goes wrong
// on the way is the last line: {"error":"..."}.
func (p *Pages) LogSearch(w http.ResponseWriter, r *http.Request) error {
	found, f, err := p.filtered(r)
	if err != nil {
		return err
	}
	out := json.NewEncoder(w)
	begin := func() {
		w.Header().Set("Content-Type", "application/x-ndjson")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Accel-Buffering", "no")
	}
	begun := false
	flush := http.NewResponseController(w)
	err = p.Store.SearchLog(r.Context(), found.ID, f, func(part run.LogFound) error {
		if !begun {
			begin()
			begun = true
		}
		if err := out.Encode(part); err != nil {
			return err
		}
		return flush.Flush()
	})
	switch {
	case err == nil && !begun:
		begin()
		fallthrough
	case err == nil:
		_ = out.Encode(map[string]bool{"done": true}) // the client may have gone
	case begun && r.Context().Err() == nil:
		_ = out.Encode(map[string]string{"error": fault.Of(err).Text()})
	default:
		return err
	}
	return nil
}
