package reftrain

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// level is one of Python's logging levels.
type level int

const (
	levelDebug   level = 10
	levelInfo    level = 20
	levelWarning level = 30
	levelError   level = 40
)

func (l level) String() string {
	switch l {
	case levelDebug:
		return "DEBUG"
	case levelInfo:
		return "INFO"
	case levelWarning:
		return "WARNING"
	default:
		return "ERROR"
	}
}

// parseLevel returns the least level that log_level lets through. NOTSET defers to Python's root logger, whose level is
// WARNING, so it hides the step lines; CRITICAL hides everything that this trainer prints.
func parseLevel(s string) level {
	switch s {
	case "DEBUG":
		return levelDebug
	case "INFO":
		return levelInfo
	case "NOTSET", "WARNING":
		return levelWarning
	case "ERROR":
		return levelError
	default:
		return levelError + 10
	}
}

// logger prints CotrainCore's lines on stderr and machine lines on stdout, whole lines only.
type logger struct {
	mu             sync.Mutex
	stdout, stderr io.Writer
	now            func() time.Time
	least          level
	silent         bool
}

func (l *logger) printf(at level, format string, args ...any) {
	if l.silent || at < l.least {
		return
	}
	// The local rank: each worker is one process, so it is always 0, as on each of CotrainCore's nodes.
	line := fmt.Sprintf("%s [%s] [Rank 0] %s\n", l.now().Format("15:04:05"), at, fmt.Sprintf(format, args...))
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.stderr, line) // nobody is left to tell when stderr is closed
}

func (l *logger) info(format string, args ...any)  { l.printf(levelInfo, format, args...) }
func (l *logger) warn(format string, args ...any)  { l.printf(levelWarning, format, args...) }
func (l *logger) error(format string, args ...any) { l.printf(levelError, format, args...) }

// field is one member of a machine line; lines keep the order in which fields are given.
type field struct {
	name  string
	value any
}

// machine prints `COTRAIN {"v":1,"kind":kind,...}`. Numbers keep full precision; those that JSON has no form for are the
// strings "NaN", "Infinity" and "-Infinity".
func (l *logger) machine(kind string, fields ...field) {
	if l.silent {
		return
	}
	var b strings.Builder
	b.WriteString(`COTRAIN {"v":1,"kind":`)
	appendJSON(&b, kind)
	for _, f := range fields {
		b.WriteByte(',')
		appendJSON(&b, f.name)
		b.WriteByte(':')
		appendJSON(&b, f.value)
	}
	b.WriteString("}\n")
	l.raw(b.String())
}

// raw prints text on stdout as it is.
func (l *logger) raw(s string) {
	if l.silent {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.stdout, s) // nobody is left to tell when stdout is closed
}

func appendJSON(b *strings.Builder, v any) {
	if f, ok := v.(float64); ok {
		switch {
		case math.IsNaN(f):
			v = "NaN"
		case math.IsInf(f, 1):
			v = "Infinity"
		case math.IsInf(f, -1):
			v = "-Infinity"
		}
	}
	j, err := json.Marshal(v)
	if err != nil { // only strings and numbers come here
		j = []byte("null")
	}
	b.Write(j)
}

// pyFloat prints a number as Python's repr does, which is what CotrainCore's f-strings give.
func pyFloat(f float64) string {
	a := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pyFixed prints a number as Python's {:.4f} does, which writes nan and inf in lower case.
func pyFixed(f float64, digits int) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return pyFloat(f)
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

// pyList prints names as Python prints a list of strings.
func pyList(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = "'" + n + "'"
	}
	return "[" + strings.Join(q, ", ") + "]"
}
