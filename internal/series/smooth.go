package series

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Kernel is a way of smoothing.
type Kernel string

// The kernels.
const (
	EMA      Kernel = "ema"   // exponential moving average: each further point weighs Amount times as much as the one after it
	TimedEMA Kernel = "twema" // the same by time of receipt, with Amount as the half-life in seconds
	Gaussian Kernel = "gauss" // centred, with Amount as the standard deviation in points
)

// Smoothing of a curve; the zero value is none. Values that are not finite have no weight, and averages pass over them.
type Smoothing struct {
	Kernel Kernel
	Amount float64
}

const (
	maxSigma    = 1000
	maxHalfLife = 365 * 24 * time.Hour
)

// ParseSmoothing parses what [Smoothing.String] returns: "ema:0.9", "twema:600s", "gauss:50", or "" for none. Errors are
// [run.FieldErrors].
func ParseSmoothing(text string) (Smoothing, error) {
	refuse := func(rule, fix string) (Smoothing, error) {
		return Smoothing{}, run.FieldErrors{{Field: "smooth", Value: fault.Clip(text, 200), Rule: rule, Fix: fix}}
	}
	if text == "" {
		return Smoothing{}, nil
	}
	kernel, amount, _ := strings.Cut(text, ":")
	s := Smoothing{Kernel: Kernel(kernel)}
	switch s.Kernel {
	case EMA:
		v, err := strconv.ParseFloat(amount, 64)
		if err != nil || !(v > 0 && v < 1) {
			return refuse("the weight of an EMA is a number between 0 and 1", `use "ema:0.9"`)
		}
		s.Amount = v
	case TimedEMA:
		d, err := time.ParseDuration(amount)
		if err != nil || d < time.Millisecond || d > maxHalfLife {
			return refuse("the half-life of a time-weighted EMA is a duration from 1ms to 8760h", `use "twema:600s"`)
		}
		s.Amount = d.Seconds()
	case Gaussian:
		v, err := strconv.ParseFloat(amount, 64)
		if err != nil || !(v > 0 && v <= maxSigma) {
			return refuse(fmt.Sprintf("the standard deviation of a Gaussian is a number of points above 0 and up to %d", maxSigma), `use "gauss:50"`)
		}
		s.Amount = v
	default:
		return refuse("is no way of smoothing", `use "ema:0.9", "twema:600s" or "gauss:50", or leave it empty`)
	}
	return s, nil
}

// String is the text that [ParseSmoothing] parses.
func (s Smoothing) String() string {
	if s.Kernel == "" {
		return ""
	}
	amount := strconv.FormatFloat(s.Amount, 'g', -1, 64)
	if s.Kernel == TimedEMA {
		amount = strconv.FormatFloat(s.Amount, 'f', -1, 64) + "s"
	}
	return string(s.Kernel) + ":" + amount
}

// negligible is the weight, of 1, that changes no sum of float64.
const negligible = 1e-18

// reach is how many points before and after one affect its smoothed value, of an EMA only finite ones: those further away are
// negligible.
func (s Smoothing) reach() (before, after int) {
	switch s.Kernel {
	case EMA:
		return int(min(math.Ceil(math.Log(negligible)/math.Log(s.Amount)), math.MaxInt32)), 0
	case Gaussian:
		n := int(math.Ceil(s.Amount * math.Sqrt(-2*math.Log(negligible))))
		return n, n
	}
	return 0, 0
}

// Smoother smooths a curve as its points come; their means change, their extremes stay.
type Smoother struct {
	smoothing Smoothing
	take      func(run.CurvePoint) bool
	value     float64
	weight    float64   // of value, in points
	at        time.Time // of the point before

	kernel []float64 // weights by distance
	window []run.CurvePoint
	next   int // the first in window that has not been taken
	ended  bool
}

// Smoother returns a smoother whose points, as many as are added and in the same order, are passed to take until it returns
// false.
func (s Smoothing) Smoother(take func(run.CurvePoint) bool) *Smoother {
	m := &Smoother{smoothing: s, take: take, value: math.NaN()}
	if s.Kernel == Gaussian {
		reach, _ := s.reach()
		m.kernel = make([]float64, reach+1)
		for i := range m.kernel {
			x := float64(i) / s.Amount
			m.kernel[i] = math.Exp(-x * x / 2)
		}
	}
	return m
}

// Add adds the next point and reports whether more are wanted.
func (m *Smoother) Add(p run.CurvePoint) bool {
	switch m.smoothing.Kernel {
	case Gaussian:
		return m.slide(p)
	case EMA:
		if finite(p.Mean) {
			m.average(p.Mean, m.smoothing.Amount)
		}
		p.Mean = m.value
	case TimedEMA:
		if finite(p.Mean) {
			m.average(p.Mean, m.decay(p.At))
		}
		p.Mean = m.value
	}
	return !m.ended && m.end(m.take(p))
}

// skip adds points, of an EMA, whose smoothed values nobody wants.
func (m *Smoother) skip(values []float64) {
	for _, v := range values {
		if finite(v) {
			m.average(v, m.smoothing.Amount)
		}
	}
}

// End passes on the points that waited for later ones.
func (m *Smoother) End() {
	for !m.ended && m.next < len(m.window) {
		m.centre()
	}
	m.ended = true
}

func (m *Smoother) end(more bool) bool {
	m.ended = !more
	return more
}

// average adds a value that weighs 1 to those before, whose weight decays.
func (m *Smoother) average(v, decay float64) {
	if m.weight = m.weight*decay + 1; m.weight == 1 {
		m.value = v
	} else {
		m.value = blend(m.value, v, 1/m.weight)
	}
}

// decay is how much earlier points still weigh at a time. A clock that was set back does not make them weigh more.
func (m *Smoother) decay(at time.Time) float64 {
	since := at.Sub(m.at).Seconds()
	m.at = at
	if m.weight == 0 || since <= 0 {
		return 1
	}
	return math.Exp2(-since / m.smoothing.Amount)
}

func (m *Smoother) slide(p run.CurvePoint) bool {
	m.window = append(m.window, p)
	reach := len(m.kernel) - 1
	for !m.ended && m.next+reach < len(m.window) {
		m.centre()
	}
	if drop := m.next - reach; drop > reach+1 { // seldom, so that a point is moved once
		m.window = m.window[:copy(m.window, m.window[drop:])]
		m.next -= drop
	}
	return !m.ended
}

// centre takes the next point of the window.
func (m *Smoother) centre() {
	p := m.window[m.next]
	reach := len(m.kernel) - 1
	first := max(0, m.next-reach)
	weight, value := 0.0, math.NaN()
	for i, o := range m.window[first:min(len(m.window), m.next+reach+1)] {
		if !finite(o.Mean) {
			continue
		}
		w := m.kernel[max(m.next-first-i, i-(m.next-first))]
		if weight == 0 {
			value, weight = o.Mean, w
			continue
		}
		weight += w
		value = blend(value, o.Mean, w/weight)
	}
	p.Mean = value
	m.next++
	m.end(m.take(p))
}
