package watch

import (
	"context"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// dumpWorkers bounds how many workers are asked for their stacks, and dumpLines how many lines of the first one's are evidence: of
	// the others it is where they begin.
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
	var err error
	n.Stacks, err = w.stacks(ctx, l.r.ID, who, n.Asked)
	return err
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

// stacks are what workers have printed on stderr since they were asked.
func (w *Watcher) stacks(ctx context.Context, id run.ID, who []int, since time.Time) ([]run.NoticeLine, error) {
	var out []run.NoticeLine
	for i, rank := range who {
		lines, err := w.o.Store.Logs(ctx, id, run.LogQuery{Rank: rank, Tail: true, Limit: dumpTail})
		if err != nil {
			return nil, err
		}
		lines = slices.DeleteFunc(lines, func(l run.LogLine) bool { return l.Stream != "stderr" || l.At.Before(since) || oneLine(l.Text) == "" })
		most := 1
		if i == 0 {
			most = dumpLines
		}
		for _, l := range lines[:min(len(lines), most)] {
			out = append(out, run.NoticeLine{Rank: rank, Pos: l.Pos, At: l.At, Text: oneLine(l.Text)})
		}
	}
	return out, nil
}
