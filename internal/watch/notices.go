package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/rhythm"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// notices says what is wrong with a live run, as far as its workers' logs and the clocks of their nodes tell, and how fast it goes on.
func (w *Watcher) notices(ctx context.Context, r run.Run, a run.Attempt, ws []run.Worker) (out []run.Notice, pace run.Pace, err error) {
	l := look{r: r, now: w.o.Now(), placed: ws, nodes: &w.clocks}
	switch {
	case r.State == run.Dispatching || r.State == run.Pending: // its workers do not all train yet
		return l.clocks(), pace, nil
	case r.State != run.Running && r.State != run.Degraded || !slices.ContainsFunc(ws, func(wk run.Worker) bool { return wk.State == run.WorkerRunning }):
		return nil, pace, nil
	}
	var machines []run.Notice
	if w.o.Machines != nil {
		w.o.Machines.Follow(r, a, ws)
		machines = w.o.Machines.Notices(r.ID)
	}
	if err := w.relearn(ctx, r, a, ws); err != nil {
		return nil, pace, err
	}
	w.vitals.mu.Lock()
	if l.v = w.vitals.of(r.ID, a.Number); l.v == nil {
		w.vitals.mu.Unlock()
		return machines, pace, nil
	}
	l.members, l.workers = l.v.current(ws, l.now)
	l.excuse(w.o.Logs)
	pace = l.pace()
	out = slices.Concat(l.hang(), l.losses(), l.alone(), l.mesh(), l.clocks(), l.slow(), machines)
	w.vitals.mu.Unlock()
	for i := range out {
		if others, about, ok := l.witnesses(out[i]); ok && r.Notice(out[i].Kind) == nil {
			if out[i].Evidence, err = w.evidence(ctx, r.ID, out[i].Rank, others, about); err != nil {
				return nil, pace, err
			}
		}
		if out[i].Kind == run.NoticeHang {
			if err := w.dump(ctx, a, &l, &out[i]); err != nil {
				return nil, pace, err
			}
		}
	}
	return out, pace, nil
}

// pace is that of the slowest worker: the others wait for it.
func (l *look) pace() (p run.Pace) {
	for _, m := range l.members {
		if m == nil {
			continue
		}
		if low, high, known := m.rhythm.Pace(); known {
			p.Low, p.High = max(p.Low, low), max(p.High, high)
		}
	}
	return p
}

// witnesses are the workers beside the one that a notice is about whose newest lines speak for it, and what those lines name; ok is false
// where no line does.
func (l *look) witnesses(n run.Notice) (others []run.Worker, about string, ok bool) {
	switch n.Kind {
	case run.NoticeHang:
		return l.workers, "", true
	case run.NoticeNotFinite, run.NoticeDiverged:
		return nil, "loss", true
	default:
		return nil, "", false
	}
}

// look is one look at an attempt.
type look struct {
	r       run.Run
	v       *vital
	now     time.Time
	members []*member // by rank, nil for those that do not run
	workers []run.Worker
	placed  []run.Worker // also those that do not run yet
	nodes   *nodeClocks
	hangs   rhythm.Hang // set by hang
}

// excuse does not blame workers for what nobody could hear.
func (l *look) excuse(logs Logs) {
	for rank, m := range l.members {
		if m == nil {
			continue
		}
		since, ok := logs.Hears(l.workers[rank].AllocID)
		if !ok {
			since = l.now
		}
		if since.After(m.rhythm.At()) && (m.rhythm.Started() || !ok) {
			m.rhythm.Excuse(since)
		}
	}
}

func (l *look) name(rank int) string { return run.WorkerName(rank, l.workers[rank].NodeName) }

// actAfter is how many limits a hang lasts before the attempt is restarted.
const actAfter = 2

func (l *look) hang() []run.Notice {
	ws := make([]*rhythm.Worker, len(l.members))
	reporting := slices.ContainsFunc(l.members, func(m *member) bool { return m != nil && m.rhythm.Started() })
	for i, m := range l.members {
		if m != nil && (!reporting || m.rhythm.Started() || l.r.InnerSteps > 0) { // without DiLoCo one worker reports for all
			ws[i] = m.rhythm
		}
	}
	h, ok := rhythm.FindHang(ws, l.now)
	if !ok {
		return nil
	}
	n := run.Notice{Kind: run.NoticeHang, Rank: h.Rank, Since: h.Since, Step: max(0, h.Step), Text: l.hangText(h),
		Hint: "Look at the newest line of each worker, and at the GPUs and the network of the node. A trainer that waits for its GPU, data or network goes on sending heartbeats, so the mesh does not drop it; one that is stopped or cut off sends none."}
	if h.Rank >= 0 {
		n.Node = l.workers[h.Rank].NodeName
	}
	if l.r.Options.Policy(run.NoticeHang) == run.PolicyRestart {
		if n.Next = "It is not restarted while the others go on."; !h.GoesOn {
			n.At = h.Since.Add(actAfter * h.Limit)
			n.Next = "It is restarted unless it goes on."
		}
	}
	l.hangs = h
	return []run.Notice{n}
}

// hangText says who hangs, since which step, and who waits.
func (l *look) hangText(h rhythm.Hang) string {
	limit := run.ShortDuration(h.Limit)
	var text string
	switch {
	case h.Step < 0:
		return fmt.Sprintf("%s has reported no first step within %s", l.name(max(0, h.Rank)), limit)
	case h.Rank < 0 && h.Phases&rhythm.Sync != 0:
		text = fmt.Sprintf("all workers stopped at step %d, where a sync is due: nothing for longer than the %s that this run's rhythm allows", h.Step, limit)
	case h.Rank < 0:
		text = fmt.Sprintf("all workers stopped at step %d: nothing for longer than the %s that this run's rhythm allows", h.Step, limit)
	default:
		text = fmt.Sprintf("%s hangs: no step after step %d for longer than the %s that this run's rhythm allows", l.name(h.Rank), h.Step, limit)
	}
	if h.GoesOn {
		text += "; others go on without it"
	}
	if len(h.Waiting) > 0 {
		text += "; " + ranks(h.Waiting) + wait(h.Waiting) + " for it"
		if ahead := l.members[h.Waiting[0]]; ahead != nil {
			text += fmt.Sprintf(" at step %d", ahead.rhythm.Step())
		}
	}
	return text
}

func wait(list []int) string {
	if len(list) == 1 {
		return " waits"
	}
	return " wait"
}

// mostRanks bounds the ranks in a sentence.
const mostRanks = 8

// ranks names workers: "worker 3", "workers 0, 1 and 2", "workers 0, 1, 2 and 60 more".
func ranks(list []int) string {
	if len(list) == 1 {
		return "worker " + strconv.Itoa(list[0])
	}
	var words []string
	for _, r := range list[:min(len(list), mostRanks)] {
		words = append(words, strconv.Itoa(r))
	}
	last := len(words) - 1
	if more := len(list) - mostRanks; more > 0 {
		return "workers " + strings.Join(words, ", ") + fmt.Sprintf(" and %d more", more)
	}
	return "workers " + strings.Join(words[:last], ", ") + " and " + words[last]
}

// losses tells of the first worker whose loss is in trouble, and of a plateau of the first that reports.
func (l *look) losses() []run.Notice {
	var worst *member
	for _, m := range l.members {
		if m == nil || m.trouble == nil {
			continue
		}
		if m.trouble.kind == rhythm.Plateau && m != l.reporter() {
			continue
		}
		if worst == nil || m.trouble.kind < worst.trouble.kind {
			worst = m
		}
	}
	if worst == nil {
		return nil
	}
	t := worst.trouble
	n := run.Notice{Rank: worst.rank, Node: l.workers[worst.rank].NodeName, Since: t.at, Step: t.step}
	switch t.kind {
	case rhythm.NotFinite:
		n.Kind, n.Text = run.NoticeNotFinite, fmt.Sprintf("the loss of %s is not finite since step %d", l.name(worst.rank), t.step)
		n.Hint = "Go back to a checkpoint before that step with a lower learning rate, a longer warm-up or clipped gradients, or leave out the data of that step."
	case rhythm.Diverged:
		n.Kind, n.Text = run.NoticeDiverged, fmt.Sprintf("the loss of %s rose from about %s at step %d and stays above what is usual", l.name(worst.rank), strconv.FormatFloat(t.usual, 'g', 3, 64), t.step)
		n.Hint = "Go back to a checkpoint before that step with a lower learning rate."
	default:
		n.Kind, n.Rank, n.Node, n.Text = run.NoticePlateau, -1, "", fmt.Sprintf("the loss has hardly fallen since step %d", t.step)
		n.Hint = "Lower the learning rate, or stop here if it is good enough."
	}
	if l.r.Options.Policy(n.Kind) == run.PolicyStop {
		n.Next = "The run is stopped."
	}
	return []run.Notice{n}
}

// reporter is the first worker that reports.
func (l *look) reporter() *member {
	for _, m := range l.members {
		if m != nil && m.rhythm.Started() {
			return m
		}
	}
	return nil
}

func (l *look) alone() []run.Notice {
	var out []run.Notice
	for rank, m := range l.members {
		if m != nil && m.alone >= 0 {
			out = append(out, run.Notice{Kind: run.NoticeAlone, Rank: rank, Node: l.workers[rank].NodeName, Since: m.aloneAt, Step: m.alone,
				Text: fmt.Sprintf("%s trains alone since step %d: its all-reduce failed, and it went on without the others", l.name(rank), m.alone),
				Hint: "Its model drifts apart from the others'. See why the all-reduce failed, in its log; restart the run if it does not sync again."})
		}
	}
	return out
}

// mesh compares the workers of the mesh with those of the run.
func (l *look) mesh() []run.Notice {
	if l.r.InnerSteps == 0 || l.r.Shape.Nodes < 2 {
		return nil
	}
	least, who := 0, -1
	for rank, m := range l.members {
		if m == nil || m.peers == 0 {
			continue
		}
		if who < 0 || m.peers < least {
			least, who = m.peers, rank
		}
	}
	if who < 0 || least >= l.r.Shape.Nodes {
		return nil
	}
	m := l.members[who]
	hint := "The others are still to join, were dropped, or did not find it. Those that run outside of it train for nothing."
	if gone := l.ended(); len(gone) > 0 {
		has := " has"
		if len(gone) > 1 {
			has = " have"
		}
		ended := ranks(gone)
		ended = strings.ToUpper(ended[:1]) + ended[1:] + has + " ended."
		if len(gone) >= l.r.Shape.Nodes-least {
			hint = ended + " The mesh goes on without."
		} else {
			hint = ended + " " + hint
		}
	}
	return []run.Notice{{Kind: run.NoticeMesh, Rank: -1, Since: m.rhythm.At(), Step: max(0, m.rhythm.Step()),
		Text: fmt.Sprintf("the mesh has %d of %d workers, as %s reports", least, l.r.Shape.Nodes, l.name(who)),
		Hint: hint}}
}

// ended are the ranks whose workers have ended, and that none runs in.
func (l *look) ended() (out []int) {
	for _, wk := range l.placed {
		runs := wk.Rank < 0 || wk.Rank < len(l.members) && l.members[wk.Rank] != nil
		if wk.State.Terminal() && !runs && !slices.Contains(out, wk.Rank) {
			out = append(out, wk.Rank)
		}
	}
	slices.Sort(out)
	return out
}

func (l *look) slow() []run.Notice {
	ws := make([]*rhythm.Worker, len(l.members))
	for i, m := range l.members {
		if m != nil {
			ws[i] = m.rhythm
		}
	}
	was := l.v.slow
	l.v.slow = map[int]int64{}
	var out []run.Notice
	for _, s := range rhythm.FindStragglers(ws, func(rank int) bool { _, slow := was[rank]; return slow }) {
		step := ws[s.Rank].Step()
		first, again := was[s.Rank]
		if !again {
			first = step
		}
		l.v.slow[s.Rank] = first
		if step == first {
			continue // it must be slow twice in a row, with steps between
		}
		text := fmt.Sprintf("%s is slow: %s a step, the others %s", l.name(s.Rank), per(s.Recent), per(s.Others))
		if s.Recent > 1.25*s.Best {
			text += fmt.Sprintf(", itself %s at its best", per(s.Best))
		}
		out = append(out, run.Notice{Kind: run.NoticeSlow, Rank: s.Rank, Node: l.workers[s.Rank].NodeName, Since: l.now, Step: step, Text: text,
			Hint: "The others wait for it at every sync. Compare the GPU clocks, temperatures and neighbours of its node."})
	}
	return out
}

// per is a number of seconds with two digits.
func per(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strconv.FormatFloat(seconds, 'g', 3, 64) + " s"
	}
	return run.ShortDuration(d)
}

const (
	// evidenceWorkers bounds of how many workers the newest line is shown, and evidenceLine its length.
	evidenceWorkers = 16
	evidenceLine    = 300
	evidenceTail    = 10 // lines among which that is
)

// evidence is the newest line of each worker, that of one first, and if there are some that name what it is about, the newest of those.
func (w *Watcher) evidence(ctx context.Context, id run.ID, first int, ws []run.Worker, about string) ([]run.NoticeLine, error) {
	var order []int
	if first >= 0 {
		order = append(order, first)
	}
	for _, wk := range ws {
		if wk.AllocID != "" && wk.Rank != first {
			order = append(order, wk.Rank)
		}
	}
	var out []run.NoticeLine
	for _, rank := range order[:min(len(order), evidenceWorkers)] {
		lines, err := w.o.Store.Logs(ctx, id, run.LogQuery{Rank: rank, Tail: true, Limit: evidenceTail})
		if err != nil {
			return nil, err
		}
		if n := len(lines); n > 0 {
			l := lines[n-1]
			for _, older := range slices.Backward(lines) { // what people read, rather than what machines do
				if !strings.HasPrefix(older.Text, run.MachineMark) && strings.Contains(older.Text, about) {
					l = older
					break
				}
			}
			out = append(out, run.NoticeLine{Rank: rank, Pos: l.Pos, At: l.At, Text: oneLine(l.Text)})
		}
	}
	return out, nil
}

// oneLine is a log line without what moves or hides text, clipped.
func oneLine(text string) string {
	text = strings.Map(func(c rune) rune {
		if fault.Unseen(c) {
			return ' '
		}
		return c
	}, text)
	return fault.Clip(strings.Join(strings.Fields(text), " "), evidenceLine)
}

// expect is what a run's configuration says of its rhythm.
func expect(r run.Run) rhythm.Expected {
	e := rhythm.Expected{Sync: r.InnerSteps}
	cfg, err := trainconf.Parse([]byte(r.Config))
	if err != nil {
		return e // it was checked before it was stored
	}
	if text, ok := cfg.Get("ckpt.interval"); ok {
		e.Checkpoint, _ = strconv.ParseInt(text, 10, 64)
	}
	_, e.Evaluation = cfg.Get("data.val_dataset_name_or_paths")
	return e
}
