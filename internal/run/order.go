package run

import (
	"cmp"
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Order is how runs are sorted. Equal ones are in the order of their IDs, in the same direction; those without a value come last,
// newest first.
type Order struct {
	By     string // an entry of [OrderKeys], "metric", or "" for the time of creation
	Metric string // with "metric"
	Of     string // with "metric": last, low or high
	Up     bool   // lowest first
}

// OrderKeys are what runs can be sorted by beside metrics.
func OrderKeys() []string { return slices.Clone(orderKeys) }

var (
	orderKeys = []string{"created", "name", "project", "owner", "model", "step", "loss", "throughput", "duration", "ended"}
	textKeys  = []string{"name", "project", "owner", "model"}
	metricOf  = []string{"last", "low", "high"}
)

// ParseOrder reads how to sort: "loss" lowest first, "-loss" highest first, "metric:train/loss:low", "" for the newest first. Errors are
// [FieldErrors].
func ParseOrder(s string) (Order, error) {
	if s == "" {
		return Order{}, nil
	}
	name, down := strings.CutPrefix(s, "-")
	o := Order{By: name, Up: !down}
	if rest, ok := strings.CutPrefix(name, "metric:"); ok {
		if i := strings.LastIndexByte(rest, ':'); i > 0 && i <= MaxMetricName && slices.Contains(metricOf, rest[i+1:]) {
			o.By, o.Metric, o.Of = "metric", rest[:i], rest[i+1:]
			return o, nil
		}
	} else if slices.Contains(orderKeys, name) {
		if name == "created" {
			o.By = ""
		}
		return o, nil
	}
	return Order{}, FieldErrors{{
		Field: "sort", Value: named(s), Rule: "is nothing that runs are sorted by",
		Fix: "use one of " + strings.Join(orderKeys, ", ") + ", or metric:NAME:last, low or high; with - in front the highest come first",
	}}
}

// ParseTime reads a time of a filter: RFC 3339, or a date, which begins at midnight UTC; "" is zero. Errors are [FieldErrors].
func ParseTime(field, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return t.UTC(), nil
		}
	}
	if s == "" {
		return time.Time{}, nil
	}
	return time.Time{}, FieldErrors{{Field: field, Value: named(s), Rule: "is not a time", Fix: "write it as 2026-01-31 or 2026-01-31T12:00:00Z"}}
}

// MaxMetricName is the most bytes of a metric's name.
const MaxMetricName = 100

// String is what [ParseOrder] reads.
func (o Order) String() string {
	s := o.By
	switch {
	case o == Order{}:
		return ""
	case o.By == "":
		s = "created"
	case o.By == "metric":
		s = "metric:" + o.Metric + ":" + o.Of
	}
	if !o.Up {
		s = "-" + s
	}
	return s
}

// Texts reports whether the order is that of texts, not of numbers.
func (o Order) Texts() bool { return slices.Contains(textKeys, o.By) }

// Position is a run's place in an order, after which the next page begins.
type Position struct {
	ID    ID
	None  bool    // it has no value
	Value float64 // of an order of numbers
	Text  string  // of an order of texts
	AsOf  int64   // Unix milliseconds: when the durations of runs under way were taken, in an order of them
}

// Compare orders two positions: negative where a comes first.
func (o Order) Compare(a, b Position) int {
	switch {
	case a.None && b.None:
		return cmp.Compare(b.ID, a.ID)
	case a.None:
		return 1
	case b.None:
		return -1
	}
	c := cmp.Compare(a.Value, b.Value)
	if c == 0 {
		c = strings.Compare(a.Text, b.Text)
	}
	if c == 0 {
		c = strings.Compare(string(a.ID), string(b.ID))
	}
	if o.Up {
		return c
	}
	return -c
}

// Cursor writes a place in the order; newest first it is the run's ID.
func (o Order) Cursor(p Position) string {
	switch {
	case o.By == "":
		return string(p.ID)
	case p.None:
		return string(p.ID) + ".-"
	case o.Texts():
		return string(p.ID) + ".t" + base64.RawURLEncoding.EncodeToString([]byte(p.Text))
	}
	s := string(p.ID) + ".n" + strconv.FormatFloat(p.Value, 'g', -1, 64)
	if p.AsOf > 0 {
		s += "@" + strconv.FormatInt(p.AsOf, 10)
	}
	return s
}

// MaxCursor is the most bytes of a cursor.
const MaxCursor = 400

// ParseCursor reads a place in the order; what is none is [FieldErrors].
func (o Order) ParseCursor(s string) (Position, error) {
	id, value, found := strings.Cut(s, ".")
	parsed, err := ParseID(id)
	p := Position{ID: parsed}
	if err != nil || found == (o.By == "") || len(s) > MaxCursor {
		return Position{}, badCursor(s)
	}
	switch {
	case !found:
		return p, nil
	case value == "-" && !o.Texts():
		p.None = true
		return p, nil
	case o.Texts() && strings.HasPrefix(value, "t"):
		text, err := base64.RawURLEncoding.Strict().DecodeString(value[1:])
		if p.Text = string(text); err != nil {
			return Position{}, badCursor(s)
		}
		return p, nil
	case !o.Texts() && strings.HasPrefix(value, "n"):
		number, asOf, timed := strings.Cut(value[1:], "@")
		if timed {
			if p.AsOf, err = strconv.ParseInt(asOf, 10, 64); err != nil || p.AsOf <= 0 || o.By != "duration" {
				return Position{}, badCursor(s)
			}
		}
		if p.Value, err = strconv.ParseFloat(number, 64); err == nil && !math.IsNaN(p.Value) {
			return p, nil
		}
	}
	return Position{}, badCursor(s)
}

func badCursor(s string) error {
	return FieldErrors{{Field: "before", Value: named(s), Rule: "is not a place in this list", Fix: "use the next of the previous page, with the same sort"}}
}
