package watch

import (
	"context"
	"slices"
	"strings"
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

// siteBudget is how long the rules of a site may take over one failure; after it the built-in ones alone explain it.
const siteBudget = 10 * time.Second

// cause says why workers of an attempt failed, from their logs and ends, beside others; nil if none did.
func (w *Watcher) cause(ctx context.Context, id run.ID, a run.Attempt, ws []run.Worker, others ...run.Worker) (*run.Cause, error) {
	x := Explainer{Store: w.o.Store, Now: w.o.Now, Others: others}
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
	// Others are workers of the attempt that are not to be explained, and may go on.
	Others []run.Worker
}

// Cause explains an attempt by the logs and ends of its workers; it is nil if none failed. Lines received at or after until are of a later
// attempt; the zero time is for the newest one.
func (x Explainer) Cause(ctx context.Context, rules *diagnose.Rules, id run.ID, a run.Attempt, ws []run.Worker, until time.Time) (*run.Cause, error) {
	failed := slices.DeleteFunc(slices.Clone(ws), func(wk run.Worker) bool { return wk.OK() || !wk.State.Terminal() })
	own := slices.DeleteFunc(slices.Clone(failed), func(wk run.Worker) bool { return wk.Stopping }) // which was told to end
	if len(own) == 0 {
		return nil, nil
	}
	r, err := x.Store.Run(ctx, id)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(own, func(a, b run.Worker) int { return a.EndedAt.Compare(b.EndedAt) })
	var all []suspect
	for _, wk := range ofInterest(own) {
		s, err := x.suspect(ctx, rules, id, wk, a.CreatedAt, until)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	st := story{r: r, attempt: a, all: all}
	root := st.root()
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
	c.Victims, c.Also = st.others(root, failed)
	if x.alone(root, failed) {
		c.Hint = aloneHint
	}
	if spoiled := r.Spoiled(a); spoiled != "" && !slices.Contains(lossCategories, c.Category) {
		c.Also = append(c.Also, spoiled)
	}
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
	return c, x.count(ctx, r.Project, c, ws)
}

// A node that went away, with what ran on it.
const (
	lostFingerprint = run.UnknownCause + "/node-lost"
	lostHint        = "See whether the node is up and reaches Nomad's servers; other nodes take its place where they have room."
)

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// count says how often a cause has been seen of late. Workers of the attempt itself that were lost of it before count as the attempt.
func (x Explainer) count(ctx context.Context, project string, c *run.Cause, ws []run.Worker) (err error) {
	c.Seen, err = x.Store.CountCause(ctx, run.InProjects(project), c.Fingerprint, c.At.Add(-run.CauseWindow))
	for _, wk := range ws {
		if wk.Cause != nil && wk.Cause.Fingerprint == c.Fingerprint {
			c.Seen = c.Seen.Without(wk.Cause.Node)
		}
	}
	c.Seen = c.Seen.With(c.Node)
	return err
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
		if older > 0 || len(page) == 0 {
			break
		}
		q.Before = page[0].Pos
	}
	slices.Reverse(pages)
	return slices.Concat(pages...), nil
}
