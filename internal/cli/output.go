package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/views/ui"
)

// printJSON writes one line of JSON.
func (p *process) printJSON(v any) error {
	text, err := p.encode(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(p.stdout, text+"\n")
	return writeError(err)
}

// encode is a value as JSON without a newline. For a terminal, characters that it would obey are escaped; the value stays the
// same.
func (p *process) encode(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode output: %w", err)
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if !p.terminal || !strings.ContainsFunc(text, unprintable) {
		return text, nil
	}
	var line strings.Builder
	for _, r := range text {
		if !unprintable(r) {
			line.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&line, "\\u%04x", u)
		}
	}
	return line.String(), nil
}

func writeError(err error) error {
	if err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// print writes text of the program's own.
func (p *process) print(format string, args ...any) error {
	if _, err := fmt.Fprintf(p.stdout, format, args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// text makes what came from elsewhere fit for stdout: on a terminal, control characters are shown instead of obeyed.
func (p *process) text(s string) string {
	if p.terminal {
		return printable(s)
	}
	return s
}

// printText writes text of several lines that came from elsewhere.
func (p *process) printText(s string) error {
	for line := range strings.Lines(s) {
		if err := p.print("%s\n", p.text(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// printable escapes control characters, and those that change the direction of text.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable reports whether a terminal would not just show r: control characters, line separators, and what is invisible or
// turns text around. Joiners stay: scripts and emoji are made with them.
func unprintable(r rune) bool {
	switch r {
	case '\t', '\u200c', '\u200d':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) || r == unicode.ReplacementChar
}

// table writes aligned columns, then flushes.
type table struct {
	p *process
	w *tabwriter.Writer
}

func (p *process) table(header ...string) *table {
	t := &table{p, tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)}
	if len(header) > 0 {
		t.row(header...)
	}
	return t
}

// row writes cells; an error shows when the table is flushed.
func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.NewReplacer("\t", " ", "\n", " ", "\v", " ", "\f", " ").Replace(t.p.text(c))
	}
	_, _ = io.WriteString(t.w, strings.Join(cells, "\t")+"\n") // kept until Flush
}

func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// figure is a number with 4 significant digits.
func figure(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if a := math.Abs(v); a >= 1e15 || a < 1e-4 && a > 0 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	} else if a >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	s := strconv.FormatFloat(v, 'g', 4, 64)
	return s
}

// rate is a throughput, as the pages write it; "-" while none is known.
func rate(v float64) string {
	if v == 0 {
		return "-"
	}
	return ui.Number(v) + " tok/s"
}

// bytesText is a number of bytes, as the pages write it.
func bytesText(n int64) string { return ui.Bytes(float64(n)) }

// age is a length of time in at most two units.
func age(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}

// ago is a time as a person says it.
func (p *process) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(p.now().Sub(t)) + " ago"
}

// steps is the progress of a run: "40/200 (20%)".
func steps(r run.Run) string {
	if r.StepsTotal <= 0 {
		return strconv.FormatInt(r.Progress.Step, 10)
	}
	return fmt.Sprintf("%d/%d (%d%%)", r.Progress.Step, r.StepsTotal, min(100, int64(100*float64(r.Progress.Step)/float64(r.StepsTotal))))
}

// loss is the newest loss, or a dash.
func loss(r run.Run) string {
	if !r.Progress.HasLoss {
		return "-"
	}
	return figure(r.Progress.Loss)
}

// short cuts text to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
