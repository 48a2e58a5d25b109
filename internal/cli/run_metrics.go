package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// metricsPage is how many values one request asks for: a few megabytes.
const metricsPage = 20000

type runMetricsCmd struct {
	Addr      string   `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	PlainHTTP bool     `name:"plain-http" help:"Send the API token over plain HTTP, where everybody on the way can read it, instead of COTRAIN_PLAIN_HTTP_TOKEN=true."`
	Format    string   `enum:"table,json,csv,parquet,jsonl" default:"table" help:"table: a summary; json: all values of a run; csv, parquet, jsonl: all values of runs, a row each."`
	ID        []run.ID `arg:"" help:"IDs of runs; table and json take one."`
	Metric    []string `placeholder:"NAME" help:"Only this metric. Repeat it, or separate with commas, for more."`
	Worker    int      `default:"-1" placeholder:"N" help:"Only this worker's values."`
	From      int64    `placeholder:"STEP" help:"Only from this step on."`
	Replaced  bool     `help:"With csv, parquet or jsonl: also what attempts reported of steps that later ones repeated; the column attempt tells."`
	Output    string   `short:"o" default:"-" placeholder:"FILE" help:"File to write csv, parquet or jsonl to, - for stdout."`
	Force     bool     `help:"Replace a file that is there."`
}

func (c *runMetricsCmd) connect(p *process) (*client.Client, error) {
	return Remote{Addr: c.Addr, PlainHTTP: c.PlainHTTP}.connect(p)
}

// metricsSink gets values page by page: metric after metric, by worker and step.
type metricsSink interface {
	begin(metric string) error
	add(points []client.Point) error
	end() error // of everything
}

// export writes all values as rows. Until a file is whole, its name ends in .part.
func (c *runMetricsCmd) export(ctx context.Context, p *process, cl *client.Client) error {
	q := client.MetricsExport{Metric: c.Metric, Worker: c.Worker, From: c.From, Replaced: c.Replaced, Form: c.Format}
	for _, id := range c.ID {
		q.Run = append(q.Run, string(id))
	}
	write := func(w io.Writer) (int64, error) { return cl.ExportMetrics(ctx, q, w) }
	switch {
	case c.Output != "-":
		return p.save(c.Output, c.Force, func(f *os.File) (int64, error) { return write(f) })
	case c.Format == "parquet" && p.terminal:
		return fault.Usage("Parquet is nothing to look at", "name a file with --output")
	case c.Format == "parquet":
		_, err := write(p.stdout)
		return err
	}
	_, err := write(&linesWriter{p: p})
	return err
}

// Run prints metrics: all values as JSON, or a summary as a table. A run can have millions of values, so neither keeps them.
func (c *runMetricsCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Worker < -1 {
		return fault.Usage("--worker must be the number of a worker, from 0", "leave it out for all workers")
	}
	if c.From < 0 {
		return fault.Usage("--from must be a step, from 0", "leave it out for all steps")
	}
	if c.Format != "table" && c.Format != "json" {
		if len(c.ID) == 1 { // of several, the console says whether none has it
			if err := p.checkWorker(ctx, cl, c.ID[0], c.Worker); err != nil {
				return err
			}
		}
		return c.export(ctx, p, cl)
	}
	if len(c.ID) > 1 || c.Output != "-" || c.Replaced {
		return fault.Usage("--format "+c.Format+" prints one run as it counts", "name one, without --output and --replaced, or use --format csv, parquet or jsonl")
	}
	head, err := cl.Metrics(ctx, c.ID[0], client.MetricsQuery{Worker: -1})
	if err != nil {
		return err
	}
	if err := p.checkWorker(ctx, cl, c.ID[0], c.Worker); err != nil {
		return err
	}
	wanted := head.Names
	if len(c.Metric) > 0 {
		wanted = slices.Compact(slices.Sorted(slices.Values(c.Metric)))
	}
	var sink metricsSink = &metricsTable{p: p, last: map[int]summary{}}
	if c.Format == "json" {
		sink = newMetricsDocument(p, head.Run)
	}
	missing := false
	for _, name := range wanted {
		if !slices.Contains(head.Names, name) {
			p.say("run %s has no metric %q; it has %s", head.Run, name, orNone(head.Names))
			missing = true
			if err := cmp.Or(sink.begin(name), sink.add(nil)); err != nil {
				return err
			}
			continue
		}
		if err := c.read(ctx, cl, name, sink); err != nil {
			return err
		}
	}
	if err := sink.end(); err != nil || !missing {
		return err
	}
	return exitStatus(exitNotFound)
}

// read hands every value of a metric on.
func (c *runMetricsCmd) read(ctx context.Context, cl *client.Client, metric string, sink metricsSink) error {
	if err := sink.begin(metric); err != nil {
		return err
	}
	q := client.MetricsQuery{Metric: []string{metric}, Limit: metricsPage, From: c.From, Worker: c.Worker}
	for {
		page, err := cl.Metrics(ctx, c.ID[0], q)
		if err != nil {
			return err
		}
		if err := sink.add(page.Metrics[metric]); err != nil {
			return err
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

// metricsDocument writes one line of JSON, piece by piece: a [client.MetricsPage] with every value, without names and next.
type metricsDocument struct {
	p     *process
	out   *bufio.Writer
	sep   string // before the next metric
	comma bool   // before the next value
}

func newMetricsDocument(p *process, id run.ID) *metricsDocument {
	d := &metricsDocument{p: p, out: bufio.NewWriterSize(p.stdout, 64<<10)}
	_, _ = fmt.Fprintf(d.out, `{"run":%q,"metrics":{`, id) // an ID needs no escapes; a writer that cannot go on says so later
	return d
}

func (d *metricsDocument) begin(metric string) error {
	name, err := d.p.encode(metric)
	if err != nil {
		return err
	}
	_, err = d.out.WriteString(d.sep + name + ":[")
	d.sep, d.comma = "],", false
	return writeError(err)
}

func (d *metricsDocument) add(points []client.Point) error {
	for _, pt := range points {
		b, err := json.Marshal(pt)
		if err != nil {
			return fmt.Errorf("encode output: %w", err)
		}
		if d.comma {
			_ = d.out.WriteByte(',') // the next write tells
		}
		d.comma = true
		if _, err := d.out.Write(b); err != nil {
			return writeError(err)
		}
	}
	return nil
}

func (d *metricsDocument) end() error {
	_, _ = d.out.WriteString(strings.TrimSuffix(d.sep, ",") + "}}\n") // Flush tells
	return writeError(d.out.Flush())
}

// metricsTable keeps what a table shows of each worker.
type metricsTable struct {
	p      *process
	rows   [][]string
	metric string
	last   map[int]summary // by worker, of the metric that is being read
}

// summary is a worker's number of values and the last of them.
type summary struct {
	values int
	last   client.Point
}

func (t *metricsTable) begin(metric string) error {
	t.close()
	t.metric = metric
	return nil
}

func (t *metricsTable) add(points []client.Point) error {
	for _, pt := range points {
		t.last[pt.Worker] = summary{t.last[pt.Worker].values + 1, pt}
	}
	return nil
}

// close makes rows of the metric that was read.
func (t *metricsTable) close() {
	for _, worker := range slices.Sorted(maps.Keys(t.last)) {
		s := t.last[worker]
		step := "-" // a metric without steps, such as system/cpu
		if s.last.Step <= run.MaxStep {
			step = strconv.FormatInt(s.last.Step, 10)
		}
		t.rows = append(t.rows, []string{t.metric, strconv.Itoa(worker), strconv.Itoa(s.values), step, figure(float64(s.last.Value))})
	}
	clear(t.last)
}

func (t *metricsTable) end() error {
	t.close()
	w := t.p.table("METRIC", "WORKER", "VALUES", "LAST STEP", "LAST")
	for _, row := range t.rows {
		w.row(row...)
	}
	return w.flush()
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none yet"
	}
	return strings.Join(names, ", ")
}
