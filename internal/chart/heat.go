package chart

import (
	"context"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/points"
)

const (
	// maxHeatRows bounds the GPUs of a heat map.
	maxHeatRows = 2048
	// heatReads is how many curves are read at once.
	heatReads = 4
)

// Heat is what one metric of each GPU of a run was over a time, in columns of equal width.
type Heat struct {
	Metric string `json:"metric"`
	// Start is the beginning of the first column, and Width that of each, in Unix milliseconds.
	Start   int64 `json:"start"`
	Width   int64 `json:"width"`
	Columns int   `json:"columns"`
	// Rows are by rank and GPU.
	Rows []HeatRow `json:"rows"`
	// Left counts the GPUs beyond what is shown.
	Left int `json:"left,omitempty"`
}

// HeatRow is one GPU: the mean of each column, nil where nothing was measured.
type HeatRow struct {
	Rank   int        `json:"rank"`
	GPU    int        `json:"gpu"`
	Values []*float64 `json:"values"`
}

// Heat reads a metric of GPUs, such as [run.GPUUtilization], between two times in at most so many columns.
func (c *Charts) Heat(ctx context.Context, r run.Run, metric string, from, to time.Time, columns int) (Heat, error) {
	names, err := c.store.Metrics(ctx, r.ID)
	if err != nil {
		return Heat{}, err
	}
	var gpus []int
	for _, name := range names {
		if i, ok := gpuOf(name, metric); ok {
			gpus = append(gpus, i)
		}
	}
	slices.Sort(gpus)
	out := Heat{Metric: metric, Width: heatWidth(to.Sub(from).Milliseconds(), columns)}
	first := from.UnixMilli() / out.Width
	out.Start, out.Columns = first*out.Width, int(to.UnixMilli()/out.Width-first)+1
	for rank := range r.Shape.Nodes {
		for _, i := range gpus {
			if len(out.Rows) == maxHeatRows {
				out.Left++
				continue
			}
			out.Rows = append(out.Rows, HeatRow{Rank: rank, GPU: i})
		}
	}
	var each errgroup.Group
	each.SetLimit(heatReads)
	for i := range out.Rows {
		row := &out.Rows[i]
		each.Go(func() error {
			v, err := c.store.View(ctx, r.ID, run.GPUMetric(row.GPU, metric), points.ViewQuery{Worker: row.Rank, From: from.UnixMilli(), To: to.UnixMilli(), Width: out.Width})
			if err != nil || len(v.Columns) == 0 {
				return err
			}
			row.Values = make([]*float64, out.Columns)
			for _, col := range v.Columns {
				if at := int(col.First/out.Width - first); at >= 0 && at < out.Columns && !math.IsNaN(col.Value) {
					row.Values[at] = new(rounded(col.Value))
				}
			}
			return nil
		})
	}
	if err := each.Wait(); err != nil {
		return Heat{}, err
	}
	out.Rows = slices.DeleteFunc(out.Rows, func(row HeatRow) bool { return row.Values == nil }) // the rank has fewer GPUs, or was never there
	return out, nil
}

// gpuOf returns which GPU's a metric is.
func gpuOf(name, metric string) (i int, ok bool) {
	number, ok := strings.CutSuffix(strings.TrimPrefix(name, run.SystemPrefix+"gpu"), "/"+metric)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(number)
	return i, err == nil && i >= 0 && run.GPUMetric(i, metric) == name
}

// leastHeat is the least width of a column in milliseconds: what is measured every ten seconds leaves none out.
const leastHeat = 1 << 14

// heatWidth is the least power of two of milliseconds that divides a time into so many columns: views are aligned to it.
func heatWidth(ms int64, columns int) int64 {
	each := max(leastHeat, ms/int64(max(1, columns-1)))
	return 1 << bits.Len64(uint64(each-1)) //nolint:gosec // at least 0
}

// rounded has four digits: a colour has fewer.
func rounded(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
