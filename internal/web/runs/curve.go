package runs

import (
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/web/page"
)

// maxPoints bounds a curve: more than the pixels of a wide screen.
const maxPoints = 6000

// columns is feed.Samples with the snapshot's sequence; non-finite numbers are strings.
type columns struct {
	Seq    int64                               `json:"seq"`
	Steps  []int64                             `json:"steps"`
	Series map[string]map[string][]*run.Number `json:"series"`
}

func meanOf(p run.CurvePoint) float64 { return p.Mean }
func sumOf(p run.CurvePoint) float64  { return p.Sum }

// columnsOf joins both curves of a run's page by step; null where absent.
func columnsOf(seq int64, loss, throughput []run.CurvePoint) columns {
	c := columns{Seq: seq, Steps: []int64{}, Series: map[string]map[string][]*run.Number{}}
	for _, curve := range [][]run.CurvePoint{loss, throughput} {
		for _, p := range curve {
			c.Steps = append(c.Steps, p.Step)
		}
	}
	slices.Sort(c.Steps)
	c.Steps = slices.Compact(c.Steps)
	column := func(curve []run.CurvePoint, value func(run.CurvePoint) float64) []*run.Number {
		out := make([]*run.Number, len(c.Steps))
		i := 0
		for _, p := range curve {
			for c.Steps[i] != p.Step {
				i++
			}
			v := run.Number(value(p))
			out[i] = &v
		}
		return out
	}
	c.Series["loss"] = map[string][]*run.Number{
		"mean": column(loss, meanOf),
		"min":  column(loss, func(p run.CurvePoint) float64 { return p.Min }),
		"max":  column(loss, func(p run.CurvePoint) float64 { return p.Max }),
	}
	c.Series["tokens_per_second"] = map[string][]*run.Number{"sum": column(throughput, sumOf)}
	return c
}

// thin reduces a curve to maxPoints.
func thin(curve []run.CurvePoint) []run.CurvePoint {
	return series.Downsample(curve, maxPoints/series.PointsPerBucket)
}

// Points returns the page's curves, in the form of the socket's samples.
func (p *Pages) Points(w http.ResponseWriter, r *http.Request) error {
	id, err := page.RunID(r)
	if err != nil {
		return err
	}
	seq := p.Seq(feed.RunTopic(id))
	shown, err := p.Store.Run(r.Context(), id)
	if err != nil {
		return err
	}
	loss, err := p.Store.Curve(r.Context(), id, "loss", 0)
	if err != nil {
		return err
	}
	throughput, err := p.Store.Curve(r.Context(), id, "tokens_per_second", 0)
	if err != nil {
		return err
	}
	return page.JSON(w, http.StatusOK, columnsOf(seq, thin(run.Settled(loss, shown.Progress.Step)), thin(run.Settled(throughput, shown.Progress.Step))))
}
