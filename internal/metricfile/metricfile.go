// Package metricfile writes values of metrics as a table, in CSV, JSON lines or Parquet, row by row and at constant memory.
package metricfile

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Row is one value that one worker reported.
type Row struct {
	Run     string  `parquet:"run,dict" json:"run"`
	Metric  string  `parquet:"metric,dict" json:"metric"`
	Worker  int32   `parquet:"worker" json:"worker"`
	Step    *int64  `parquet:"step,optional" json:"step"`            // nil for metrics without steps
	Time    int64   `parquet:"time,timestamp(millisecond)" json:"-"` // Unix milliseconds of receipt
	Value   float64 `parquet:"value" json:"-"`                       // may be NaN or infinite
	Attempt *int32  `parquet:"attempt,optional" json:"attempt"`      // that reported it, nil where it is not known
}

// Writer writes rows.
type Writer interface {
	Write(rows []Row) error
	// Close ends the table; it does not close what is below.
	Close() error
}

// Format is a kind of table.
type Format struct {
	Name  string
	Media string
	open  func(w io.Writer) Writer
}

// formats are all of them.
var formats = []Format{
	{"csv", "text/csv; charset=utf-8", newCSV},
	{"parquet", "application/vnd.apache.parquet", newParquet},
	{"jsonl", "application/jsonl", newLines},
}

// ByName returns a format, or false.
func ByName(name string) (Format, bool) {
	for _, f := range formats {
		if f.Name == name {
			return f, true
		}
	}
	return Format{}, false
}

// Open starts a table.
func (f Format) Open(w io.Writer) Writer { return f.open(w) }

// number is exact: it is read back as the same value.
func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// columns are the names of those of CSV.
var columns = []string{"run", "metric", "worker", "step", "time", "value", "attempt"}

type csvWriter struct {
	w    *csv.Writer
	line [7]string
	err  error // of the header
}

func newCSV(w io.Writer) Writer {
	c := &csvWriter{w: csv.NewWriter(w)}
	c.err = c.w.Write(columns)
	return c
}

func (c *csvWriter) Write(rows []Row) error {
	if c.err != nil {
		return c.err
	}
	for _, r := range rows {
		step, attempt := "", ""
		if r.Step != nil {
			step = strconv.FormatInt(*r.Step, 10)
		}
		if r.Attempt != nil {
			attempt = strconv.Itoa(int(*r.Attempt))
		}
		c.line = [...]string{fault.Cell(r.Run), fault.Cell(r.Metric), strconv.Itoa(int(r.Worker)), step, moment(r.Time), number(r.Value), attempt}
		if err := c.w.Write(c.line[:]); err != nil {
			return err
		}
	}
	return nil
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

type lineWriter struct{ w *bufio.Writer }

func newLines(w io.Writer) Writer { return lineWriter{bufio.NewWriterSize(w, 64<<10)} }

func (l lineWriter) Write(rows []Row) error {
	for _, r := range rows {
		b, err := json.Marshal(struct {
			Row
			Time  string     `json:"time"`
			Value run.Number `json:"value"`
		}{r, moment(r.Time), run.Number(r.Value)})
		if err != nil {
			return fmt.Errorf("encode row: %w", err)
		}
		if _, err := l.w.Write(append(b, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func (l lineWriter) Close() error { return l.w.Flush() }

// groupRows is how many rows of Parquet are held until they are written.
const groupRows = 1 << 16

type parquetWriter struct {
	w    *parquet.GenericWriter[Row]
	held int
}

func newParquet(w io.Writer) Writer {
	return &parquetWriter{w: parquet.NewGenericWriter[Row](w, parquet.Compression(&parquet.Zstd), parquet.CreatedBy("cotrain", "", ""))}
}

func (p *parquetWriter) Write(rows []Row) error {
	n, err := p.w.Write(rows)
	if p.held += n; err != nil || p.held < groupRows {
		return err
	}
	p.held = 0
	return p.w.Flush()
}

func (p *parquetWriter) Close() error { return p.w.Close() }
