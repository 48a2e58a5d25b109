package watch

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// diagnosed is of how many failed workers the logs are read, those that ended first: the others are their victims.
	diagnosed = 32
	// diagnosedLines is how many of a worker's newest lines are read, in pages of pageLines.
	diagnosedLines = 20_000
	pageLines      = 5000
	// skippedLines is how many lines of later attempts are passed over on the way to those of an earlier one.
	skippedLines = 100_000
)

// suspect is a worker that failed, and why its own log and end say so.
type suspect struct {
	worker run.Worker
	cause  diagnose.Cause
	lines  []run.LogLine
}

// siteBudget is how long the rules of a site may take over one failure; after it the built-in ones alone explain it.
const siteBudget = 10 * time.Second

// cause says why an attempt failed, from the logs and ends of its workers; nil if none failed.
func (w *Watcher) cause(ctx context.Context, id run.ID, a run.Attempt, ws []run.Worker) (*run.Cause, error) {
	x := Explainer{Store: w.o.Store, Now: w.o.Now}
	limited, cancel := context.WithTimeout(ctx, siteBudget)
	defer cancel()
	c, err := x.Cause(limited, w.o.Rules.Current(ctx), id, a, ws, time.Time{})
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return c, err
	}
	w.o.Logger.WarnContext(ctx, "the rules of the site take too long; the built-in ones explain the failure", "run", id, "limit", siteBudget)
	rules, err := diagnose.Builtin()
	if err != nil {
		return nil, err
	}
	return x.Cause(ctx, rules, id, a, ws, time.Time{})
}

// RuleSource has the rules by which failures are explained, as they are now; [diagnose.Rules] is one itself.
type RuleSource interface {
	Current(ctx context.Context) *diagnose.Rules
	// Categories are those of all rules; no site has its own.
	Categories() []diagnose.Category
	// RetryRules say how failures of each are retried.
	RetryRules() run.RetryRules
}

// ExplainStore is what an [Explainer] reads.
type ExplainStore interface {
	Run(ctx context.Context, id run.ID) (run.Run, error)
	Logs(ctx context.Context, id run.ID, q run.LogQuery) ([]run.LogLine, error)
	CountCause(ctx context.Context, in run.Projects, fingerprint string, since time.Time) (run.CauseCount, error)
}

// Explainer says why attempts failed, from what is stored of them.
type Explainer struct {
	Store ExplainStore
	Now   func() time.Time
}

// Cause explains an attempt by the logs and ends of its workers; it is nil if none failed. Lines received at or after until are of a later
// attempt; the zero time is for the newest one.
func (x Explainer) Cause(ctx context.Context, rules *diagnose.Rules, id run.ID, a run.Attempt, ws []run.Worker, until time.Time) (*run.Cause, error) {
	failed := slices.DeleteFunc(slices.Clone(ws), func(wk run.Worker) bool { return wk.OK() || !wk.State.Terminal() })
	own := slices.DeleteFunc(slices.Clone(failed), func(wk run.Worker) bool { return wk.Stopping }) // which was told to end
	if len(own) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(own, func(a, b run.Worker) int { return a.EndedAt.Compare(b.EndedAt) })
	// Who is told to end after somebody failed is told because of it.
	own = append(own[:1], slices.DeleteFunc(own[1:], func(wk run.Worker) bool { return terminated(wk) && !terminated(own[0]) })...)
	var root suspect
	for i, wk := range own[:min(len(own), diagnosed)] {
		s, err := x.suspect(ctx, rules, id, wk, a.CreatedAt, until)
		if err != nil {
			return nil, err
		}
		if i == 0 || s.beats(root) {
			root = s
		}
	}
	c := &run.Cause{
		Attempt: a.Number, At: x.Now(), Category: root.cause.Category, Summary: root.cause.Summary, Hint: root.cause.Hint, Retryable: root.cause.Retryable,
		Rank: root.worker.Rank, Node: root.worker.NodeName, Fingerprint: root.cause.Fingerprint(), Entity: root.cause.Entity,
	}
	switch {
	case c.Category == diagnose.None: // nothing in the log, and an end that says nothing
		c.Category = run.UnknownCause
	case root.cause.Guess && !root.worker.OOM: // a process that was only killed
		c.Category, c.Retryable = run.UnknownCause, true
	}
	c.Retryable = c.Retryable || root.cause.Blank // nobody knows that it would fail again
	if root.worker.State == run.WorkerLost && !c.Known() {
		c.Summary, c.Hint, c.Fingerprint, c.Retryable = sentence(root.worker.Failure()), lostHint, lostFingerprint, true
	}
	c.Exit = root.worker.Ended()
	if !c.Known() {
		root.untold(c)
	}
	for _, k := range rules.Categories() {
		if k.Name == c.Category {
			c.Title = k.Title
		}
	}
	for _, wk := range failed {
		if wk.Rank != c.Rank && root.ended(wk) {
			c.Victims = append(c.Victims, wk.Rank)
		}
	}
	slices.Sort(c.Victims)
	for _, e := range root.cause.Evidence {
		line := run.CauseLine{Text: e.Text}
		if e.Line < int64(len(root.lines)) {
			line.Pos = root.lines[e.Line].Pos
		}
		c.Evidence = append(c.Evidence, line)
	}
	if len(c.Evidence) == 0 && (!c.Known() || root.worker.Hopeless()) {
		c.Evidence, c.Tail = root.tail(), true
	}
	return c, x.count(ctx, id, c, ws)
}

// A node that went away, with what ran on it.
const (
	lostFingerprint = run.UnknownCause + "/node-lost"
	lostHint        = "See whether the node is up and reaches Nomad's servers; other nodes take its place where they have room."
)

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// beats reports whether s explains the failure of an attempt better. A signal or a lost node is something that happened to the worker
// itself, though nothing says why: a lost connection to it is not.
func (s suspect) beats(other suspect) bool {
	switch {
	case s.struck() && other.cause.Echo:
		return true
	case s.cause.Echo && other.struck():
		return false
	}
	return s.cause.Beats(other.cause)
}

// struck reports whether the worker was ended from outside.
func (s suspect) struck() bool {
	_, signal := s.worker.Exit()
	return s.worker.State == run.WorkerLost || s.worker.OOM || signal != 0 && !terminated(s.worker)
}

// count says how often a cause has been seen of late. Workers of the attempt itself that were lost of it before count as the attempt.
func (x Explainer) count(ctx context.Context, id run.ID, c *run.Cause, ws []run.Worker) error {
	r, err := x.Store.Run(ctx, id)
	if err != nil {
		return err
	}
	c.Seen, err = x.Store.CountCause(ctx, run.InProjects(r.Project), c.Fingerprint, c.At.Add(-run.CauseWindow))
	for _, wk := range ws {
		if wk.Cause != nil && wk.Cause.Fingerprint == c.Fingerprint {
			c.Seen = c.Seen.Without(wk.Cause.Node)
		}
	}
	c.Seen = c.Seen.With(c.Node)
	return err
}

// suspect diagnoses one worker.
func (x Explainer) suspect(ctx context.Context, rules *diagnose.Rules, id run.ID, wk run.Worker, since, until time.Time) (suspect, error) {
	s := suspect{worker: wk}
	var err error
	if s.lines, err = x.lastLines(ctx, id, wk.Rank, since, until); err != nil {
		return s, err
	}
	name := run.WorkerName(wk.Rank, wk.NodeName)
	scan := rules.NewScanner()
	scan.Process(name)
	for _, l := range s.lines {
		if ctx.Err() != nil { // rules of a site may be slow
			return s, ctx.Err()
		}
		scan.Line([]byte(l.Text))
	}
	if words := ownWords(wk.Detail); words != "" {
		scan.Line([]byte(words))
	}
	code, signal := wk.Exit()
	exit := diagnose.Exit{Known: wk.Exited, Code: code, Signal: signal, OOMKilled: wk.OOM}
	s.cause = scan.Cause(exit)
	if s.cause.Echo && signal == 0 && code > 1 && code < signalExit { // a code of the program's own, which no lost connection gives
		scan = rules.NewScanner()
		scan.Process(name)
		s.cause = scan.Cause(exit)
	}
	return s, nil
}

// ownWords is what Nomad says of a task, without the exit code and signal, which are known better.
func ownWords(detail string) string {
	if !strings.HasPrefix(detail, "Exit Code: ") {
		return detail
	}
	_, words, _ := strings.Cut(detail, "Exit Message: ")
	if strings.Contains(words, "exit code") { // the task driver's own repetition
		return ""
	}
	return words
}

// signalExit and above are exit codes of processes that a signal ended.
const signalExit = 128

// terminated reports whether SIGTERM ended a worker.
func terminated(wk run.Worker) bool {
	code, signal := wk.Exit()
	return signal == int(syscall.SIGTERM) || code == signalExit+int(syscall.SIGTERM)
}

// lastLines returns the newest lines of a worker between two times of the console's clock, oldest first; no until is the end.
func (x Explainer) lastLines(ctx context.Context, id run.ID, rank int, since, until time.Time) ([]run.LogLine, error) {
	var pages [][]run.LogLine
	q := run.LogQuery{Rank: rank, Tail: true, Limit: pageLines}
	by := func(l run.LogLine, at time.Time) int { return l.At.Compare(at) }
	for n, skipped := 0, 0; n < diagnosedLines && skipped < skippedLines; {
		page, err := x.Store.Logs(ctx, id, q)
		if err != nil {
			return nil, err
		}
		older, _ := slices.BinarySearchFunc(page, since, by)
		newer := len(page)
		if !until.IsZero() {
			newer, _ = slices.BinarySearchFunc(page, until, by)
		}
		skipped += len(page) - newer
		if older < newer {
			pages = append(pages, page[older:newer])
			n += newer - older
		}
		if older > 0 || len(page) < pageLines {
			break
		}
		q.Before = page[0].Pos
	}
	slices.Reverse(pages)
	return slices.Concat(pages...), nil
}
