package chart

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/cotrain/cotrain/internal/series"
)

// AppendJSON appends an answer as JSON:
//
//	{"run":"r-…","x":"step","series":[{"metric":"loss","worker":-1,"width":16,"points":88000,"step":[…],"x":[…],"min":[…],"max":[…],
//	"value":[…],"odd":[[3,"NaN"]]}]}
//
// with a number for each column. x is left out over steps, min and max where every column is one value. What is not finite is null,
// and named by column in odd. The newest value, [step, value], is there if it was asked for. Where the run lacks what was asked for, missing says so, for people. A derived metric has its formula, and one without steps "clock":true. What happened beside the curves
// is asked for once a page: see [Charts.Marks].
func (a Answer) AppendJSON(out []byte) []byte {
	out = append(out, `{"run":`...)
	out = appendString(out, string(a.Run))
	out = append(out, `,"x":`...)
	out = appendString(out, string(a.X))
	out = append(out, `,"series":[`...)
	for i, c := range a.Curves {
		if i > 0 {
			out = append(out, ',')
		}
		out = c.appendJSON(out)
	}
	out = append(out, ']')
	if len(a.Missing) > 0 {
		out = appendString(append(out, `,"missing":`...), a.Missing.Error())
	}
	return append(out, '}')
}

func (c Curve) appendJSON(out []byte) []byte {
	columns := c.View.Columns
	out = append(out, `{"metric":`...)
	out = appendString(out, c.Metric)
	out = strconv.AppendInt(append(out, `,"worker":`...), int64(c.Worker), 10)
	if c.Formula != "" {
		out = appendString(append(out, `,"formula":`...), c.Formula)
	}
	if c.Clock {
		out = append(out, `,"clock":true`...)
	}
	out = strconv.AppendInt(append(out, `,"width":`...), c.View.Width, 10)
	out = strconv.AppendInt(append(out, `,"points":`...), c.View.Points, 10)
	out = appendNumbers(append(out, `,"step":`...), len(columns), func(out []byte, i int) []byte { return strconv.AppendInt(out, columns[i].First, 10) })
	float := func(name string, of func(i int) float64) {
		out = appendString(append(out, ','), name)
		out = appendNumbers(append(out, ':'), len(columns), func(out []byte, i int) []byte { return appendFloat(out, of(i)) })
	}
	if c.X != nil {
		float("x", func(i int) float64 { return c.X[i] })
	}
	if c.wide() {
		float("min", func(i int) float64 { return columns[i].Min })
		float("max", func(i int) float64 { return columns[i].Max })
	}
	float("value", func(i int) float64 { return columns[i].Value })
	if p := c.Newest; p != nil {
		out = strconv.AppendInt(append(out, `,"newest":[`...), p.Step, 10)
		out = append(appendFloat(append(out, ','), p.Mean), ']')
	}
	return append(c.appendOdd(out), '}')
}

// wide reports whether any column has more than one value.
func (c Curve) wide() bool {
	for _, column := range c.View.Columns {
		if column.Min < column.Max || column.Value < column.Min || column.Value > column.Max {
			return true
		}
	}
	return false
}

func (c Curve) appendOdd(out []byte) []byte {
	names := [...]struct {
		odd  series.Odd
		name string
	}{{series.HasNaN, "NaN"}, {series.HasInf, "Infinity"}, {series.HasNegativeInf, "-Infinity"}}
	first := true
	for i, column := range c.View.Columns {
		for _, n := range names {
			if column.Odd&n.odd == 0 {
				continue
			}
			if first {
				out = append(out, `,"odd":[`...)
			} else {
				out = append(out, ',')
			}
			first = false
			out = strconv.AppendInt(append(out, '['), int64(i), 10)
			out = append(appendString(append(out, ','), n.name), ']')
		}
	}
	if !first {
		out = append(out, ']')
	}
	return out
}

func appendNumbers(out []byte, n int, number func([]byte, int) []byte) []byte {
	out = append(out, '[')
	for i := range n {
		if i > 0 {
			out = append(out, ',')
		}
		out = number(out, i)
	}
	return append(out, ']')
}

func appendFloat(out []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(out, "null"...)
	}
	return strconv.AppendFloat(out, v, 'g', -1, 64)
}

func appendString(out []byte, s string) []byte {
	b, _ := json.Marshal(s) // a string is never refused
	return append(out, b...)
}
