package compare

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/compare"
	"github.com/cotrain/cotrain/internal/run"
)

const linesAtATime = 4 // concurrent reads

// line is one line of the charts: a run, or a group.
type line struct {
	key  string
	runs []run.Run
}

// Series answers a chart's query of all runs at once, as {"lines":[{"key":"r-…","answer":…},…]} with the JSON of [chart.Answer], in
// the order of the runs. With group, a line is the mean and the band of a group.
func (p *Pages) Series(w http.ResponseWriter, r *http.Request) error {
	q, _, err := readQuery(r)
	if err != nil {
		return err
	}
	asked, err := chart.ParseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := p.pick(r, q)
	if err != nil {
		return err
	}
	lines := linesOf(found.runs, q.Group)
	asked.Pixels = min(asked.Pixels, compare.Columns(len(lines)*len(asked.Metrics)))
	body, err := p.lines(r.Context(), lines, asked)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client has gone
	return nil
}

func linesOf(runs []run.Run, group string) (out []line) {
	groups := compare.GroupBy(group, runs, compare.Requests(runs))
	at := map[string]int{}
	for i, r := range runs {
		key := string(r.ID)
		if groups != nil {
			key = groups[i].Key
		}
		n, ok := at[key]
		if !ok {
			n = len(out)
			at[key] = n
			out = append(out, line{key: key})
		}
		out[n].runs = append(out[n].runs, r)
	}
	return out
}

// lines reads all lines, several at a time.
func (p *Pages) lines(ctx context.Context, lines []line, q chart.Query) ([]byte, error) {
	charts := chart.New(p.Store)
	parts := make([][]byte, len(lines))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(linesAtATime)
	for i, l := range lines {
		g.Go(func() error {
			if len(l.runs) == 1 {
				_, body, err := p.Cache.Answer(ctx, p.Store, l.runs[0], q, func(string) bool { return false })
				parts[i] = body
				return err
			}
			a, err := charts.Band(ctx, l.runs, q)
			parts[i] = a.AppendJSON(nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := []byte(`{"lines":[`)
	for i, part := range parts {
		if i > 0 {
			out = append(out, ',')
		}
		key, _ := json.Marshal(lines[i].key) // a string is never refused
		out = append(append(append(append(out, `{"key":`...), key...), `,"answer":`...), part...)
		out = append(out, '}')
	}
	return append(out, "]}"...), nil
}
