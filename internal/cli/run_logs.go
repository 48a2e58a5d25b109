package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
)

// maxTail is the largest --tail: the most lines that one answer holds.
const maxTail = 5000

// maxContext is the most lines around each that is found.
const maxContext = 100

type runLogsCmd struct {
	Addr      string        `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	PlainHTTP bool          `name:"plain-http" help:"Send the API token over plain HTTP, where everybody on the way can read it, instead of COTRAIN_PLAIN_HTTP_TOKEN=true."`
	Format    string        `enum:"table,text,json" default:"text" help:"text as it was printed (to a file or a pipe; a terminal shows control characters, and does not obey them), or json, an object a line."`
	ID        run.ID        `arg:"" help:"ID of the run."`
	Follow    bool          `short:"f" help:"Go on until the run ends."`
	Worker    int           `default:"-1" placeholder:"N" help:"Only this worker's lines."`
	Tail      int           `default:"-1" placeholder:"N" help:"Only the newest lines, this many."`
	Raw       bool          `help:"Also the lines for machines: COTRAIN {...}."`
	Grep      string        `short:"g" placeholder:"RE" help:"Only lines that match this regular expression (RE2), in any case unless --case."`
	Fixed     bool          `short:"F" help:"--grep is text, no expression."`
	Case      bool          `help:"--grep tells upper from lower case."`
	Hide      string        `placeholder:"RE" help:"No lines that match this."`
	Context   int           `short:"C" placeholder:"N" help:"With --grep: also N lines before and after."`
	Level     string        `enum:",info,warning,error" default:"" placeholder:"LEVEL" help:"Only lines of this level or a higher one: warning or error."`
	Stream    string        `enum:",stdout,stderr" default:"" placeholder:"NAME" help:"Only stdout or stderr."`
	Since     string        `placeholder:"TIME" help:"Only lines since this time, as in RFC 3339, or so long ago, such as 10m."`
	Until     string        `placeholder:"TIME" help:"Only lines before this time."`
	Attempt   int           `placeholder:"N" help:"Only lines of this attempt."`
	Output    string        `short:"o" default:"-" placeholder:"FILE" help:"File to write to, - for stdout."`
	Force     bool          `help:"Replace a file that is there."`
	Patience  time.Duration `default:"5m" help:"With --follow: how long to wait for a console that is away."`

	wanted func(run.LogLine) bool // what of lines that are read one by one is printed
	lost   int                    // lines that stand for others that could not be read
}

func (c *runLogsCmd) connect(p *process) (*client.Client, error) {
	return Remote{Addr: c.Addr, PlainHTTP: c.PlainHTTP}.connect(p)
}

// Run prints a log: what the console finds, or with --follow and --tail line by line.
func (c *runLogsCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	q, err := c.query(ctx, p, cl)
	if err != nil {
		return err
	}
	if err := p.checkWorker(ctx, cl, c.ID, c.Worker); err != nil {
		return err
	}
	if c.Follow || c.Tail >= 0 {
		return c.lines(ctx, p, cl, q)
	}
	write := func(w io.Writer) (n int64, err error) {
		n, c.lost, err = cl.LogFile(ctx, c.ID, q, w)
		return n, err
	}
	if c.Output != "-" {
		err := p.save(c.Output, c.Force, func(f *os.File) (int64, error) { return write(f) })
		return cmp.Or(err, c.whole(p))
	}
	out := linesWriter{p: p}
	if c.Format == "json" {
		out.line = func(line string) error { return p.printJSON(json.RawMessage(line)) }
	}
	_, err = write(&out)
	return cmp.Or(err, out.flush(), c.whole(p))
}

// whole fails if lines of the log could not be read.
func (c *runLogsCmd) whole(p *process) error {
	if c.lost == 0 {
		return nil
	}
	places := "1 place"
	if c.lost > 1 {
		places = fmt.Sprintf("%d places", c.lost)
	}
	p.say("this is not all: lines are lost in %s, where a line [CoTrain: ...] names the file of the archive of logs that is missing or damaged; restore it from a backup", places)
	return exitStatus(exitFailed)
}

// query is what to ask the console for.
func (c *runLogsCmd) query(ctx context.Context, p *process, cl *client.Client) (client.LogFile, error) {
	q := client.LogFile{Worker: c.Worker, Stream: c.Stream, Level: c.Level, Machine: "0", Find: c.Grep, Regexp: !c.Fixed && c.Grep != "", Case: c.Case, Hide: c.Hide, Context: c.Context, Form: "ansi"}
	switch {
	case c.Worker < -1:
		return q, fault.Usage("--worker must be the number of a worker, from 0", "leave it out for all workers")
	case c.Tail < -1 || c.Tail > maxTail:
		return q, fault.Usage(fmt.Sprintf("--tail must be from 0 to %d", maxTail), "leave it out for all lines")
	case c.Context < 0 || c.Context > maxContext:
		return q, fault.Usage(fmt.Sprintf("--context must be from 0 to %d", maxContext), "download the log with --output, and look around there")
	case c.Context > 0 && (c.Follow || c.Tail >= 0 || c.Grep == ""):
		return q, fault.Usage("--context goes with --grep, and neither with --follow nor with --tail", "remove one of them")
	case (c.Follow || c.Tail >= 0) && c.Output != "-":
		return q, fault.Usage("--follow and --tail go with no --output", "remove it, or redirect what is printed")
	}
	for flag, p := range map[string]run.LogPattern{"--grep": {Text: c.Grep, Regexp: q.Regexp, Case: c.Case}, "--hide": {Text: c.Hide, Regexp: true}} {
		var bad run.FieldErrors
		if _, err := p.Compile(flag); errors.As(err, &bad) {
			return q, fault.Usage(fmt.Sprintf("%s %q %s", flag, bad[0].Value, bad[0].Rule), bad[0].Fix)
		}
	}
	if c.Format == "json" { // for machines, so it has them all
		q.Form = "jsonl"
	}
	if c.Raw || c.Format == "json" {
		q.Machine = "1"
	}
	var err error
	if q.Since, err = p.moment("--since", c.Since); err != nil {
		return q, err
	}
	if q.Until, err = p.moment("--until", c.Until); err != nil {
		return q, err
	}
	if c.Attempt != 0 {
		err = c.ofAttempt(ctx, cl, &q)
	}
	return q, err
}

// ofAttempt narrows a query to the time of an attempt: until the next one begins.
func (c *runLogsCmd) ofAttempt(ctx context.Context, cl *client.Client, q *client.LogFile) error {
	d, err := cl.Run(ctx, c.ID)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(d.Attempts, func(a run.Attempt) bool { return a.Number == c.Attempt })
	if i < 0 {
		return fault.Usage(fmt.Sprintf("run %s has no attempt %d", c.ID, c.Attempt), fmt.Sprintf("it has had %d", len(d.Attempts)))
	}
	if q.Since == "" {
		q.Since = d.Attempts[i].CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	if q.Until == "" && i+1 < len(d.Attempts) {
		q.Until = d.Attempts[i+1].CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	return nil
}

// lines prints a log line by line.
func (c *runLogsCmd) lines(ctx context.Context, p *process, cl *client.Client, q client.LogFile) error {
	filter, err := run.ParseLogFilter(q.Values())
	if err != nil {
		return err
	}
	m, err := logarchive.NewMatcher(filter)
	if err != nil {
		return err
	}
	c.wanted = func(l run.LogLine) (wanted bool) {
		m.Each(logarchive.Chunk{Rank: l.Rank, Stream: l.Stream, At: l.At.UnixMilli(), Data: []byte(l.Text + "\n"), Lost: l.Lost}, func(int, []byte) bool { wanted = true; return false })
		return wanted
	}
	f := follower{p: p, c: cl, id: c.ID, worker: c.Worker, line: func(l run.LogLine) error {
		if !c.wanted(l) {
			return nil
		}
		if l.Lost {
			c.lost++
		}
		if c.Format == "json" {
			return p.printJSON(l)
		}
		return p.printLine(l, c.Worker)
	}}
	if c.Tail >= 0 {
		if err := c.tail(ctx, &f); err != nil {
			return err
		}
	} else if _, err := f.drain(ctx, !c.Follow); err != nil { // a console that is not there is told at once
		return err
	}
	if !c.Follow {
		return c.whole(p)
	}
	f.patience = c.Patience
	_, err = f.follow(ctx)
	return cmp.Or(err, c.whole(p))
}

// tail prints the newest lines and moves the cursor past them. It reads back until enough of them are shown.
func (c *runLogsCmd) tail(ctx context.Context, f *follower) error {
	q := client.LogsQuery{Tail: max(c.Tail, 1), Worker: c.Worker}
	var shown []run.LogLine // newest first
	for first := true; first || len(shown) < c.Tail; first = false {
		page, err := f.c.Logs(ctx, c.ID, q)
		if err != nil {
			return err
		}
		if first {
			f.after = page.Next
		}
		for _, l := range slices.Backward(page.Lines) {
			if c.wanted(l) && len(shown) < c.Tail {
				shown = append(shown, l)
			}
		}
		if !page.More || len(page.Lines) == 0 {
			break
		}
		q.Before, q.Tail = int64(page.Lines[0].Pos), maxTail
	}
	for _, l := range slices.Backward(shown) {
		if err := f.line(l); err != nil {
			return err
		}
	}
	return nil
}

// checkWorker fails when a run does not have the worker; -1 stands for all.
func (p *process) checkWorker(ctx context.Context, cl *client.Client, id run.ID, worker int) error {
	if worker < 0 {
		return nil
	}
	got, err := cl.Run(ctx, id)
	if err != nil {
		return err
	}
	if n := got.Run.Shape.Nodes; worker >= n {
		p.say("run %s has no worker %d; its workers are 0 to %d", got.Run.ID, worker, n-1)
		return exitStatus(exitNotFound)
	}
	return nil
}
