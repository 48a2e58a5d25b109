package watch

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// dumpWorkers bounds how many workers are asked for their stacks, and dumpLines how many lines of each one's are evidence.
	dumpWorkers = 16
	dumpLines   = 8
	// dumpWait is how long the stacks may take to arrive, and dumpTail among how many of a worker's newest lines they are looked for.
	dumpWait = time.Minute
	dumpTail = 2000
)

// dump asks the workers of a hang for their stacks, once, where the options say so, and finds what they answer.
func (w *Watcher) dump(ctx context.Context, a run.Attempt, l *look, n *run.Notice) error {
	policy := l.r.Options.Policy(run.NoticeHang)
	if policy != run.PolicyDump && policy != run.PolicyRestart {
		return nil
	}
	if w.o.DumpSignal == "" {
		if policy == run.PolicyDump {
			n.Next = "No stacks are asked for: job.dump_signal of this site is not set."
		}
		return nil
	}
	if was := l.r.Notice(run.NoticeHang); was != nil {
		n.Asked = was.Asked
	}
	who := l.hanging()
	if n.Asked.IsZero() {
		asked := false
		for _, rank := range who {
			if err := w.ask(ctx, a, l.members[rank], l.workers[rank]); err != nil {
				w.o.Logger.Warn("ask for stacks", "run", l.r.ID, "worker", rank, "err", err)
			} else {
				asked = true
			}
		}
		if !asked {
			n.Next = join("The stacks could not be asked for, trying again.", n.Next)
			return nil
		}
		n.Asked = l.now
	}
	n.Next = join("Stacks were asked for with "+w.o.DumpSignal+".", n.Next)
	if l.now.Sub(n.Asked) > dumpWait {
		return nil
	}
	all, err := w.stacks(ctx, l.r.ID, who, n.Asked)
	if err != nil {
		return err
	}
	if l.hangs.Rank < 0 && len(all) > 0 {
		running := 0
		for _, m := range l.members {
			if m != nil {
				running++
			}
		}
		n.StacksTell = tell(all, running)
		slices.SortStableFunc(all, func(a, b []run.NoticeLine) int { // those to look at first
			switch {
			case waits(a) == waits(b):
				return 0
			case waits(a):
				return 1
			default:
				return -1
			}
		})
	}
	for _, s := range all {
		n.Stacks = append(n.Stacks, s[:min(len(s), dumpLines)]...)
	}
	return nil
}

func join(a, b string) string {
	if b == "" {
		return a
	}
	return a + " " + b
}

// hanging are the workers whose stacks tell: the one that hangs and those that wait for it, or all where all stopped.
func (l *look) hanging() []int {
	var out []int
	if l.hangs.Rank >= 0 {
		out = append([]int{l.hangs.Rank}, l.hangs.Waiting...)
	} else {
		for rank, m := range l.members {
			if m != nil {
				out = append(out, rank)
			}
		}
	}
	return out[:min(len(out), dumpWorkers)]
}

// ask sends the signal to a worker, unless it had it at this step: not all may have got through at once.
func (w *Watcher) ask(ctx context.Context, a run.Attempt, m *member, wk run.Worker) error {
	if m.asked == m.rhythm.Step() {
		return nil
	}
	if err := w.o.Cluster.Signal(ctx, a.JobID, wk.AllocID, w.o.DumpSignal); err != nil {
		return err
	}
	m.asked = m.rhythm.Step()
	return nil
}

// stacks are what workers have printed on stderr since they were asked, a list for each that has.
func (w *Watcher) stacks(ctx context.Context, id run.ID, who []int, since time.Time) ([][]run.NoticeLine, error) {
	var all [][]run.NoticeLine
	for _, rank := range who {
		lines, err := w.o.Store.Logs(ctx, id, run.LogQuery{Rank: rank, Tail: true, Limit: dumpTail})
		if err != nil {
			return nil, err
		}
		var out []run.NoticeLine
		for _, l := range lines {
			if text := oneLine(l.Text); l.Stream == "stderr" && !l.At.Before(since) && text != "" {
				out = append(out, run.NoticeLine{Rank: rank, Pos: l.Pos, At: l.At, Text: text})
			}
		}
		if len(out) > 0 {
			all = append(all, out)
		}
	}
	return all, nil
}

// collective is in a frame of a worker that waits for others: of torch.distributed, NCCL and Gloo, and of the reference trainer.
var collective = regexp.MustCompile(`(?i)all_?reduce|all_?gather|reduce_?scatter|broadcast|barrier|all_?to_?all|reftrain\.\(\*\w+\)\.(synchronise|average)\(`)

// waits reports whether a worker's stacks show that it waits in a collective.
func waits(stacks []run.NoticeLine) bool {
	return slices.ContainsFunc(stacks, func(l run.NoticeLine) bool { return collective.MatchString(l.Text) })
}

// tell names the worker that the others wait for, where the stacks of all workers but one show a collective. With a worker that has not
// printed any, or more than one without, nobody can be told.
func tell(all [][]run.NoticeLine, running int) string {
	var apart []int
	for _, s := range all {
		if !waits(s) {
			apart = append(apart, s[0].Rank)
		}
	}
	switch {
	case len(all) < running:
		return fmt.Sprintf("stacks of %d of %d workers so far, which do not tell who hangs", len(all), running)
	case len(apart) == 1 && running > 1:
		return fmt.Sprintf("the others wait in a collective, worker %d does not: look at it first", apart[0])
	default:
		return "the stacks do not tell who hangs"
	}
}
