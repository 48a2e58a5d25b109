package watch

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/logparse"
	"github.com/cotrain/cotrain/internal/run"
)

// suspect is a worker that failed, and why its own log and end say so.
type suspect struct {
	worker run.Worker
	cause  diagnose.Cause
	lines  []run.LogLine
	// trained says that only the loss speaks for the cause: the worker trained on with it, and ended of what the rest of the log tells,
	// which is the end of another.
	trained bool
}

// suspect diagnoses one worker.
func (x Explainer) suspect(ctx context.Context, rules *diagnose.Rules, id run.ID, wk run.Worker, since, until time.Time) (suspect, error) {
	s := suspect{worker: wk}
	var err error
	if s.lines, err = x.lastLines(ctx, id, wk.Rank, since, until); err != nil {
		return s, err
	}
	if s.cause, err = s.scan(ctx, rules, s.lines); err != nil {
		return s, err
	}
	_, signal := wk.Exit()
	switch {
	case slices.Contains(lossCategories, s.cause.Category):
		var p logparse.Parser
		rest, err := s.scan(ctx, rules, slices.DeleteFunc(slices.Clone(s.lines), func(l run.LogLine) bool { return p.Line([]byte(l.Text)).Kind == logparse.KindSample }))
		if err != nil {
			return s, err
		}
		switch {
		case slices.Contains(lossCategories, rest.Category): // it says so itself
		case s.struck() || terminated(wk):
			s.cause = rest
		case rest.Echo:
			s.trained = true
		}
	case wk.State == run.WorkerLost && s.cause.Category == toldToEnd: // a node that goes away ends what it can
		s.cause = rules.NewScanner().Cause(diagnose.Exit{})
	case s.cause.Echo && signal == 0 && ownCode(wk): // a code of the program's own, which no lost connection gives
		s.worker.Detail = ""
		s.cause, err = s.scan(ctx, rules, nil)
		s.worker.Detail = wk.Detail
	}
	return s, err
}

// toldToEnd is the category of what SIGTERM ended.
const toldToEnd = "preempted_sigterm"

// lossCategories are those of a loss that went wrong.
var lossCategories = []string{policyCategories[run.NoticeNotFinite], policyCategories[run.NoticeDiverged]}

// ownCode reports whether a worker ended with a code that its program chose.
func ownCode(wk run.Worker) bool {
	code, _ := wk.Exit()
	return code > 1 && code < signalExit
}

// scan diagnoses the worker by lines of its log and by its end.
func (s *suspect) scan(ctx context.Context, rules *diagnose.Rules, lines []run.LogLine) (diagnose.Cause, error) {
	scan := rules.NewScanner()
	scan.Process(run.WorkerName(s.worker.Rank, s.worker.NodeName))
	for _, l := range lines {
		if ctx.Err() != nil { // rules of a site may be slow
			return diagnose.Cause{}, ctx.Err()
		}
		scan.Line([]byte(l.Text))
	}
	if words := ownWords(s.worker.Detail); words != "" {
		scan.Line([]byte(words))
	}
	code, signal := s.worker.Exit()
	return scan.Cause(diagnose.Exit{Known: s.worker.Exited, Code: code, Signal: signal, OOMKilled: s.worker.OOM}), nil
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

// struck reports whether the worker was ended from outside.
func (s suspect) struck() bool {
	_, signal := s.worker.Exit()
	return s.worker.State == run.WorkerLost || s.worker.OOM || signal != 0 && !terminated(s.worker)
}

// follows reports whether the worker ended because another did.
func (s suspect) follows() bool { return s.cause.Echo || s.trained }

// beats reports whether s explains the failure of an attempt better. A signal or a lost node is something that happened to the worker
// itself, though nothing says why: a lost connection to it is not.
func (s suspect) beats(other suspect) bool {
	switch {
	case (s.struck() || s.cause.Category != diagnose.None && !s.follows()) && other.trained, s.struck() && other.cause.Echo:
		return true
	case s.follows() && other.struck(), s.trained && other.cause.Category != diagnose.None && !other.follows():
		return false
	}
	return s.cause.Beats(other.cause)
}
