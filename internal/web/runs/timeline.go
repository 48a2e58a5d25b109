package runs

import (
	"encoding/base64"
	"math"
	"net/http"

	"github.com/cotrain/cotrain/internal/mesh"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/web/page"
)

// Bounds of an answer: how many cells of single rounds, else how many of columns, and how many rounds are told of.
const (
	mostExact   = 4_000
	mostCells   = 90_000
	mostRounds  = 1000
	mostSpans   = 5000
	mostColumns = 4096
)

// timeline is what the script draws of a window of time. Times are Unix milliseconds.
type timeline struct {
	Version int64        `json:"version"`
	Same    bool         `json:"same,omitempty"` // as of the version that the script has; there is no more then
	Start   int64        `json:"start"`          // of the first round
	End     int64        `json:"end"`            // of the last
	From    int64        `json:"from"`           // of the window
	To      int64        `json:"to"`
	Lanes   []lane       `json:"lanes"`
	Total   int          `json:"total"`            // rounds of the run
	Rounds  []shownRound `json:"rounds,omitempty"` // of the window, unless they are too many
	Spans   []shownSpan  `json:"spans,omitempty"`  // with single rounds
	Columns int          `json:"columns,omitempty"`
	Cells   string       `json:"cells,omitempty"` // see [mesh.Grid], in base 64; absent where rounds have their syncs
}

type lane struct {
	Rank int    `json:"rank"`
	Node string `json:"node,omitempty"`
}

type shownRound struct {
	Number    int     `json:"number"`
	Attempt   int     `json:"attempt"`
	Step      int64   `json:"step"`
	Start     int64   `json:"start"`
	End       int64   `json:"end"`
	Workers   int     `json:"workers"`
	Straggler int     `json:"straggler"`
	Cost      float64 `json:"cost"`   // seconds
	Reduce    float64 `json:"reduce"` // seconds
	// Syncs are milliseconds by lane; -1 took no part, and what is below that failed after so many, less two.
	Syncs []int64 `json:"syncs,omitempty"`
}

type shownSpan struct {
	Lane  int   `json:"lane"`
	State int   `json:"state"`
	From  int64 `json:"from"`
	To    int64 `json:"to"`
}

// Timeline tells what the workers did in a window of time: in each round where that is not too much, else summed up into columns.
func (p *Pages) Timeline(w http.ResponseWriter, r *http.Request) error {
	of, err := p.run(r)
	if err != nil {
		return err
	}
	var from, to, columns, since int64
	for name, in := range map[string]struct {
		to              *int64
		otherwise, most int64
	}{"from": {&from, 0, math.MaxInt64}, "to": {&to, 0, math.MaxInt64}, "columns": {&columns, 600, mostColumns}, "since": {&since, 0, math.MaxInt64}} {
		if *in.to, err = page.Number(r, name, in.otherwise, 0, in.most); err != nil {
			return err
		}
	}
	made, err := p.Rounds.Of(r.Context(), p.Store, of)
	if err != nil {
		return err
	}
	if since > 0 && since == made.Version {
		return page.JSON(w, http.StatusOK, timeline{Version: since, Same: true})
	}
	return page.JSON(w, http.StatusOK, drawn(made, from, to, int(max(1, columns))))
}

// drawn is a window of a run's rounds.
func drawn(made *rounds.Rounds, from, to int64, columns int) timeline {
	first, last := made.Span()
	out := timeline{Version: made.Version, Start: millis(first), End: millis(last), From: from, To: to, Total: len(made.Rounds), Lanes: []lane{}}
	for _, l := range made.Lanes {
		out.Lanes = append(out.Lanes, lane{l.Rank, l.Node})
	}
	if out.From == 0 {
		out.From = out.Start
	}
	if out.To == 0 {
		out.To = out.End
	}
	if len(made.Rounds) == 0 || out.To <= out.From {
		return out
	}
	a, b := made.Within(float64(out.From)/1000, float64(out.To)/1000)
	exact := (b-a)*len(made.Lanes) <= mostExact && b-a <= mostRounds
	if b-a <= mostRounds {
		for i := a; i < b; i++ {
			out.Rounds = append(out.Rounds, shownOf(made.Mesh, i, exact))
		}
	}
	if exact {
		out.spans(made.Mesh)
		return out
	}
	out.Columns = max(1, min(columns, mostCells/max(1, len(made.Lanes))))
	out.Cells = base64.StdEncoding.EncodeToString(made.Grid(float64(out.From)/1000, float64(out.To)/1000, out.Columns).Cells)
	return out
}

func shownOf(m *mesh.Mesh, i int, exact bool) shownRound {
	r := &m.Rounds[i]
	out := shownRound{Number: i + 1, Attempt: r.Attempt, Step: r.Step, Start: millis(r.Start), End: millis(r.End), Workers: r.Members, Straggler: r.Straggler, Cost: r.Cost, Reduce: r.Reduce}
	if !exact {
		return out
	}
	for lane := range m.Lanes {
		c, ms := r.Cell(lane), int64(-1)
		if c.Member {
			ms = millis(float64(c.Sync))
			if c.Failed {
				ms = -2 - ms
			}
		}
		out.Syncs = append(out.Syncs, ms)
	}
	return out
}

// spans adds what workers did outside the rounds.
func (t *timeline) spans(m *mesh.Mesh) {
	for i, l := range m.Lanes {
		for _, s := range l.Spans {
			if from, to := millis(s.From), millis(s.To); to > t.From && from < t.To && len(t.Spans) < mostSpans {
				t.Spans = append(t.Spans, shownSpan{i, int(s.State), from, to})
			}
		}
	}
}

func millis(seconds float64) int64 { return int64(math.Round(seconds * 1000)) }
