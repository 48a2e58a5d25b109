package client

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// EventsQuery says which events of a run to read.
type EventsQuery struct {
	After  int64 `query:"after" minimum:"0" doc:"Cursor: only events after this sequence; the next of the previous answer"`
	Tail   int   `query:"tail" minimum:"1" maximum:"5000" doc:"The newest events, this many"`
	Before int64 `query:"before" minimum:"1" doc:"The newest events before this sequence; the seq of an event"`
	Limit  int   `query:"limit" default:"500" minimum:"1" maximum:"5000" doc:"At most this many events"`
}

// EventPage is a piece of a run's history.
type EventPage struct {
	Items []run.Event `json:"items" nullable:"false" doc:"Oldest first"`
	Next  int64       `json:"next" doc:"For after: what happens after these events"`
	More  bool        `json:"more" doc:"Whether there are more events in the direction of reading now"`
}

// Events reads what happened to a run.
func (c *Client) Events(ctx context.Context, id run.ID, q EventsQuery) (EventPage, error) {
	return get[EventPage](ctx, c, runPath(id, "/events"), q)
}

// LogsQuery says which lines of a run's log to read.
type LogsQuery struct {
	Worker int   `query:"worker" default:"-1" minimum:"-1" maximum:"1048576" doc:"Rank of the worker; -1 for all"`
	After  int64 `query:"after" minimum:"0" doc:"Cursor: only lines after this place; the next of the previous answer"`
	Tail   int   `query:"tail" minimum:"1" maximum:"5000" doc:"The newest lines, this many"`
	Before int64 `query:"before" minimum:"1" doc:"The newest lines before this place; the pos of a line"`
	Limit  int   `query:"limit" default:"1000" minimum:"1" maximum:"5000" doc:"At most this many lines"`
}

// LogPage is a piece of a run's log.
type LogPage struct {
	Lines []run.LogLine `json:"lines" nullable:"false" doc:"Oldest first"`
	Next  run.LogPos    `json:"next" doc:"For after: what comes after these lines"`
	More  bool          `json:"more" doc:"Whether there may be more lines in the direction of reading now"`
}

// Logs reads lines of a run's log.
func (c *Client) Logs(ctx context.Context, id run.ID, q LogsQuery) (LogPage, error) {
	return get[LogPage](ctx, c, runPath(id, "/logs"), q)
}

// LogFile says which lines of a run's log to send, and how.
type LogFile struct {
	Worker   int    `query:"worker" default:"-1" minimum:"-1" maximum:"1048576" doc:"Rank of the worker; -1 for all"`
	Stream   string `query:"stream" enum:"stdout,stderr" doc:"Only this stream of the workers"`
	Level    string `query:"level" enum:"info,warning,error" doc:"Only lines of this level or a higher one, as they name it; lines that name none are info"`
	Machine  string `query:"machine" enum:"0,1" doc:"Whether the lines for the console are sent too (COTRAIN {...}); they are unless a level is given"`
	Since    string `query:"since" maxLength:"40" doc:"Only lines received at this time or later, as in RFC 3339"`
	Until    string `query:"until" maxLength:"40" doc:"Only lines received before this time"`
	Find     string `query:"q" maxLength:"1000" doc:"Only lines with this text, in any case"`
	Regexp   bool   `query:"regexp" doc:"The text is a regular expression (RE2) within a line"`
	Case     bool   `query:"case" doc:"Upper and lower case differ"`
	Hide     string `query:"hide" maxLength:"1000" doc:"No lines that match this regular expression"`
	Context  int    `query:"context" minimum:"0" maximum:"100" doc:"Also so many lines before and after each with the text; in JSON, found tells them apart"`
	First    int64  `query:"first" minimum:"0" doc:"Only this line and later ones; the pos of a line"`
	Last     int64  `query:"last" minimum:"0" doc:"Only lines up to this one"`
	Form     string `query:"format" enum:"text,ansi,jsonl" default:"text" doc:"text: without the escape sequences of terminals; ansi: as printed, so that one stream of a worker is exactly its bytes, unless lines are lost; jsonl: a JSON object a line, as in read-logs. Of all workers, each line of a text begins with its worker: [0]. Where lines cannot be read since a block of the archive of logs is missing or damaged, a line in their place says so whatever is asked for (in JSON, lost is true), and the trailer Cotrain-Lost-Lines, or with a Range the header, has the number of such lines"`
	Compress string `query:"compress" enum:"gzip,zstd" doc:"Compressed. What is not compressed can be continued with a Range of bytes"`
}

// Values is the query as a URL's.
func (q LogFile) Values() url.Values {
	values, _ := url.ParseQuery(strings.TrimPrefix(encode(q), "?")) // as encoded
	return values
}

// LogFile copies lines of a run's log to w, and returns the bytes, and how many of the lines say that others are lost there.
func (c *Client) LogFile(ctx context.Context, id run.ID, q LogFile, w io.Writer) (n int64, lost int, err error) {
	n, trailer, err := c.receive(ctx, runPath(id, "/logs/file")+encode(q), w)
	lost, _ = strconv.Atoi(trailer.Get(run.LostLines)) // an older console sends none
	return n, lost, err
}

// MetricsQuery says which values of a run to read.
type MetricsQuery struct {
	Metric []string `query:"metric,explode" maxItems:"20" doc:"Name of a metric whose values to return; repeat it for more. Pages go through one after the other, in this order"`
	Mode   string   `query:"mode" enum:"workers,curve" default:"workers" doc:"Every worker's values, or one curve over all workers"`
	Worker int      `query:"worker" default:"-1" minimum:"-1" maximum:"1048576" doc:"Only the values of the worker with this rank; -1 for all. Not for curves"`
	From   int64    `query:"from" minimum:"0" doc:"Only from this step on"`
	After  string   `query:"after" maxLength:"100" doc:"Cursor: the next of the previous page. Everything but limit must be as it was for that page"`
	Limit  int      `query:"limit" default:"10000" minimum:"1" maximum:"50000" doc:"At most this many values in one answer, those of all metrics together"`
}

// MetricsPage is the names of a run's metrics, and a page of the values asked for.
type MetricsPage struct {
	Run     run.ID                      `json:"run"`
	Names   []string                    `json:"names" nullable:"false" doc:"All metrics of the run"`
	Metrics map[string][]Point          `json:"metrics,omitempty" doc:"By name: this page's values, by worker and step. Every metric that was asked for is here; one that has none on this page is empty, and one that the run has not reported is an error"`
	Curves  map[string][]run.CurvePoint `json:"curves,omitempty" doc:"By name: this page of the curve over all workers, by step"`
	Next    string                      `json:"next,omitempty" doc:"Cursor of the next page, for after; absent on the last. Whoever follows it gets every value that was there at the first page exactly once, and perhaps some that came meanwhile"`
}

// MetricsExport says which values of metrics to export, and how.
type MetricsExport struct {
	Run      []string `query:"run,explode" required:"true" minItems:"1" maxItems:"200" doc:"ID of a run; repeat it for more"`
	Metric   []string `query:"metric,explode" maxItems:"64" doc:"Name of a metric; repeat it for more. All without it. One that only some of the runs have is left out for the others; one that none has is an error"`
	Worker   int      `query:"worker" default:"-1" minimum:"-1" maximum:"1048576" doc:"Only the values of the worker with this rank; -1 for all. A rank that none of the runs has is an error"`
	From     int64    `query:"from" minimum:"0" doc:"Only from this step on"`
	Replaced bool     `query:"replaced" doc:"Also, after the rows of each metric, what attempts reported of steps that later ones repeated, with the attempt that did; of the last 8 before the newest"`
	Form     string   `query:"format" enum:"csv,parquet,jsonl" default:"csv" doc:"CSV, Parquet or JSON lines, with the columns run, metric, worker, step, time, value and attempt. In CSV a name that a spreadsheet would take for a formula begins with an apostrophe"`
}

// ExportMetrics copies values as a table to w, by run, metric, worker and step, and returns the bytes.
func (c *Client) ExportMetrics(ctx context.Context, q MetricsExport, w io.Writer) (int64, error) {
	return c.download(ctx, "/api/v1/metrics"+encode(q), w)
}

// SeriesQuery says which curves of a run to summarize, and how.
type SeriesQuery struct {
	Metric  []string `query:"metric,explode" required:"true" minItems:"1" maxItems:"64" doc:"Name of a metric, or a formula such as =val_loss-loss; repeat it for more. Perplexity, samples_per_second and planned/learning_rate are derived where they can be"`
	X       string   `query:"x" maxLength:"107" doc:"What the range is of, and the member x of the answer: step (the default), time (Unix seconds), elapsed (seconds since the start), tokens, or the name of another metric"`
	From    string   `query:"from" maxLength:"40" doc:"Start of the range, in units of x; open without it"`
	To      string   `query:"to" maxLength:"40" doc:"End of the range, included"`
	Columns int      `query:"columns" default:"800" minimum:"1" maximum:"4096" doc:"At most so many columns, each as wide as a power of two of steps, with the lowest, the highest and the mean of its values. Of width 1, each is one step"`
	Smooth  string   `query:"smooth" maxLength:"40" doc:"ema:0.9, twema:600s or gauss:50, over all points before they are summarized"`
	Workers string   `query:"workers" maxLength:"10" doc:"all (the default) for the curve over all, each, or a rank"`
}

// SeriesAnswer is what [SeriesQuery] is answered with.
type SeriesAnswer struct {
	Run     run.ID   `json:"run"`
	X       string   `json:"x" doc:"What the range is of, as asked for"`
	Series  []Series `json:"series" nullable:"false" doc:"A curve for each metric that the run has, and with workers=each for each worker"`
	Missing string   `json:"missing,omitempty" doc:"What was asked for and the run does not have, for people"`
}

// Series is a curve in columns: each list has one entry for each of them.
type Series struct {
	Metric  string     `json:"metric"`
	Worker  int        `json:"worker" doc:"Rank of the worker, or -1 for the curve over all"`
	Formula string     `json:"formula,omitempty" doc:"How a derived metric is computed"`
	Clock   bool       `json:"clock,omitempty" doc:"The metric is without steps: step is the time in Unix milliseconds"`
	Width   int64      `json:"width" doc:"Steps of a column: a power of two, 1 where each column is one step"`
	Points  int64      `json:"points" doc:"Points of the range that the columns are of"`
	Step    []int64    `json:"step" nullable:"false" doc:"The first step of each column"`
	X       []*float64 `json:"x,omitempty" doc:"Where each column is on the axis x; absent over steps"`
	Min     []*float64 `json:"min,omitempty" doc:"The lowest value of each column; absent where all columns are one value"`
	Max     []*float64 `json:"max,omitempty" doc:"The highest, likewise"`
	Value   []*float64 `json:"value" nullable:"false" doc:"The mean of each column's finite values, smoothed if asked for; null where it has none"`
	Odd     [][2]any   `json:"odd,omitempty" doc:"Columns with values that are not finite, as pairs: the index of the column, and NaN, Infinity or -Infinity"`
}

// Point is one value that one worker reported.
type Point struct {
	Worker int        `json:"worker" doc:"Rank of the worker"`
	Step   int64      `json:"step" doc:"The training step; for a metric without steps, such as system/cpu, the time in Unix milliseconds"`
	Value  run.Number `json:"value"`
	At     time.Time  `json:"at"`
}

// Metrics reads values of a run.
func (c *Client) Metrics(ctx context.Context, id run.ID, q MetricsQuery) (MetricsPage, error) {
	return get[MetricsPage](ctx, c, runPath(id, "/metrics"), q)
}
