package chart

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
)

// Bounds of a query.
const (
	MaxMetrics = 64
	MaxWidth   = 4096 // pixels: a chart over the whole of an 8K screen's half
	maxName    = 100  // bytes, as in logparse
)

// Workers is which workers a chart shows: one by its rank, or one of these.
type Workers int

// The choices of workers.
const (
	AllWorkers    Workers = -1 // their mean, lowest and highest at each step
	EachWorker    Workers = -2 // a curve for each
	MaxOfEach             = 64 // curves of a metric with EachWorker
	defaultPixels         = 800
)

// Axis is what a chart is drawn over: steps, a time, or a metric's values.
type Axis string

// The axes that are no metrics.
const (
	Step    Axis = "step"
	Time    Axis = "time"    // Unix seconds of receipt
	Elapsed Axis = "elapsed" // seconds since the run's first worker started
	Tokens  Axis = "tokens"  // the metric total_tokens
)

// Metric is the metric that the axis shows, or "".
func (a Axis) Metric() string {
	switch a {
	case Step, Time, Elapsed:
		return ""
	case Tokens:
		return "total_tokens"
	}
	return string(a)
}

// Query is what a chart asks of a run.
type Query struct {
	Metrics  []string // names, or formulas after "="
	X        Axis
	From, To float64 // range in the units of X; infinite where open
	Pixels   int     // columns at most
	Smooth   series.Smoothing
	Workers  Workers
	// Replaced is an attempt whose points that later ones repeated are asked for, 0 for the curve.
	Replaced int
	// Newest asks for the newest value of each curve in the range, too.
	Newest bool
}

// ParseQuery reads a query of an address: metric (repeated), x, from, to, px, smooth, workers (all, each or a rank), replaced (an attempt), newest
// (any text). Its errors are all [run.FieldErrors].
func ParseQuery(v url.Values) (Query, error) {
	q := Query{Metrics: v["metric"], X: Step, From: math.Inf(-1), To: math.Inf(1), Pixels: defaultPixels, Workers: AllWorkers, Newest: v.Get("newest") != ""}
	var errs run.FieldErrors
	add := func(err error) { errs = append(errs, fieldErrors(err)...) }
	if x := v.Get("x"); x != "" {
		q.X = Axis(x)
		if m := q.X.Metric(); m != "" {
			add(checkName("x", m))
		}
	}
	for name, to := range map[string]*float64{"from": &q.From, "to": &q.To} {
		if text := v.Get(name); text != "" {
			add(parseBound(name, text, to))
		}
	}
	if q.From > q.To {
		add(run.FieldError{Field: "from", Value: v.Get("from"), Rule: "is after to = " + v.Get("to"), Fix: "swap them"})
	}
	if text := v.Get("px"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxWidth {
			add(run.FieldError{Field: "px", Value: fault.Clip(text, 2*maxName), Rule: fmt.Sprintf("is not 1 to %d", MaxWidth), Fix: "give the width of the chart in pixels"})
		}
		q.Pixels = n
	}
	if text := v.Get("smooth"); text != "" {
		var err error
		q.Smooth, err = series.ParseSmoothing(text)
		add(err)
	}
	add(q.parseWorkers(v.Get("workers")))
	if text := v.Get("replaced"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			add(run.FieldError{Field: "replaced", Value: fault.Clip(text, 2*maxName), Rule: "is no attempt", Fix: "give the number of an attempt, such as 1"})
		}
		q.Replaced = n
	}
	errs = append(errs, checkMetrics(q.Metrics)...)
	if len(errs) > 0 {
		return Query{}, errs
	}
	return q, nil
}

func parseBound(name, text string, to *float64) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return run.FieldError{Field: name, Value: fault.Clip(text, 2*maxName), Rule: "is no finite number", Fix: "give a value of the x axis, or leave it out"}
	}
	*to = n
	return nil
}

func (q *Query) parseWorkers(text string) error {
	switch text {
	case "", "all":
		q.Workers = AllWorkers
	case "each":
		q.Workers = EachWorker
	default:
		rank, err := strconv.Atoi(text)
		if err != nil || rank < 0 {
			return run.FieldError{Field: "workers", Value: fault.Clip(text, 2*maxName), Rule: "is no rank", Fix: `use all, each, or a rank such as 0`}
		}
		q.Workers = Workers(rank)
	}
	return nil
}

func checkMetrics(metrics []string) (errs run.FieldErrors) {
	if len(metrics) == 0 || len(metrics) > MaxMetrics {
		return run.FieldErrors{{Field: "metric", Value: strconv.Itoa(len(metrics)), Rule: fmt.Sprintf("is given fewer than once or more than %d times", MaxMetrics), Fix: "ask for 1 to " + strconv.Itoa(MaxMetrics) + " metrics"}}
	}
	for _, m := range metrics {
		text, formula := strings.CutPrefix(m, "=")
		var err error
		if formula {
			_, err = ParseFormula(text)
		} else {
			err = checkName("metric", m)
		}
		errs = append(errs, fieldErrors(err)...)
	}
	return errs
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

// checkName accepts what may be a metric's name.
func checkName(field, name string) error {
	if name == "" || len(name) > maxName+len(run.SystemPrefix) || !utf8.ValidString(name) {
		return run.FieldError{Field: field, Value: fault.Clip(name, 2*maxName), Rule: fmt.Sprintf("is no name of 1 to %d bytes of UTF-8", maxName), Fix: "use a name that the run's list of metrics shows"}
	}
	return nil
}
