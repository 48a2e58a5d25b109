package run

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Exit codes with a meaning of their own; those above 64 are the launch script's (jobs/launch.sh).
const (
	ExitUsage       = 2   // the trainer rejects its configuration or arguments
	ExitRendezvous  = 75  // worker 0 did not appear in time
	ExitPorts       = 76  // a port is taken on the node; training has not started
	ExitMissing     = 78  // something is missing on the node
	ExitNoCommand   = 127 // the trainer's command does not exist
	firstSignalExit = 128 // and above: ended by a signal
)

// MaxPortConflicts is how many attempts may end with [ExitPorts] before it counts as an ordinary failure.
const MaxPortConflicts = 5

// Failure is a failed attempt.
type Failure struct {
	Observation
	Cause *Cause            // nil where no worker failed
	Why   string            // how it ended, in a sentence
	Saved []SavedCheckpoint // as the run's workers reported them
	// Resume is the checkpoint folder that it continued from, "" for none of the run's own.
	Resume string
}

// RetryPlan says what follows a failed attempt.
type RetryPlan struct {
	Again bool      `json:"again"`
	At    time.Time `json:"at,omitzero"` // not before
	Why   string    `json:"why"`         // in sentences
	// Avoid names the nodes that the next attempt avoids.
	Avoid []string `json:"avoid,omitempty"`
}

// Retry decides what follows a failed attempt, keeps the plan with the failure's cause, and returns the reason to record: for the next
// attempt, or else the final one. A requested stop is never followed. When the next attempt follows is not part of it: [Run.NotBefore] has that.
func (r *Run) Retry(f Failure, rules RetryRules, now time.Time) (reason string, again bool) {
	f.Why = f.Cause.because(r.ofRoot(f))
	v := r.judge(f, rules)
	r.Ledger, r.Retried, r.PortConflicts = v.ledger, v.retried, v.conflicts
	plan := RetryPlan{Again: v.again, Why: v.why}
	if v.again {
		r.NotBefore, plan.At = now.Add(v.wait), now.Add(v.wait)
		r.StopCause, r.StopReason = "", ""
		r.Shape.Avoid, plan.Avoid = r.Ledger.Avoided()
	}
	if f.Cause != nil {
		f.Cause.Retry = &plan
	}
	if v.again {
		return fmt.Sprintf("attempt %d failed: %s; attempt %d follows: %s", r.Attempt, f.Why, r.Attempt+1, v.why), true
	}
	if v.why == "" || r.Options.most() == 0 { // nobody expects a retry
		return f.Why, false
	}
	return f.Why + "; " + v.why, false
}

// ofRoot is how a failed attempt ended, by the worker that failed of its cause: others may have ended before it was seen to.
func (r *Run) ofRoot(f Failure) string {
	w := r.root(f)
	if w == nil || f.Cause == nil {
		return f.Why
	}
	if how := r.failure(*w); !strings.Contains(f.Why, how) {
		return how
	}
	return f.Why
}

// root is the worker that failed of the cause, or the first that failed where nobody knows; nil for none.
func (r *Run) root(f Failure) *Worker {
	if f.Cause != nil {
		for i, w := range f.Workers {
			if w.Rank == f.Cause.Rank && w.State.Terminal() && !w.Stopping && (!w.OK() || r.leftEarly(w)) {
				return &f.Workers[i]
			}
		}
	}
	return r.count(f.Workers).firstBad
}

// WithWait is a reason of [Run.Retry] with when the next attempt follows, for the history: it stays true there.
func (r *Run) WithWait(reason string, now time.Time) string {
	next := fmt.Sprintf("; attempt %d follows", r.Attempt+1)
	i := strings.LastIndex(reason, next+": ")
	if i < 0 || !r.NotBefore.After(now) {
		return reason
	}
	i += len(next)
	return reason[:i] + " in " + ShortDuration(r.NotBefore.Sub(now)) + reason[i:]
}

// PausedFailed has a run be paused in place of the attempt that a reason of [Run.Retry] announces, and returns the reason for that.
func (r *Run) PausedFailed(reason string) string {
	r.dropWait()
	if i := strings.LastIndex(reason, fmt.Sprintf("; attempt %d follows: ", r.Attempt+1)); i >= 0 {
		return reason[:i] + "; paused as requested"
	}
	return reason
}

// Follows says whether a run whose newest attempt failed, or was stopped by its policy, is tried again, and why, in a sentence; "" for any
// other.
func (r *Run) Follows() string {
	if r.Cause == nil {
		return ""
	}
	plan := r.Cause.Retry
	next := fmt.Sprintf("Attempt %d follows", r.Attempt+1)
	if r.State == Paused {
		next += " when it is resumed"
	}
	switch {
	case (r.State == Queued || r.State == Paused) && plan != nil && plan.Again:
		return next + ": " + plan.Why + "."
	case r.State == Queued || r.State == Paused:
		return next + "."
	case plan != nil && !plan.Again && plan.Why != "":
		return upperFirst(plan.Why) + "."
	case r.StopRequested:
		return "It is not tried again, because it was stopped."
	}
	return "It is not tried again."
}

// dropWait has the next attempt wait for no time.
func (r *Run) dropWait() {
	r.NotBefore = time.Time{}
	if r.Cause != nil && r.Cause.Retry != nil {
		r.Cause.Retry.At = time.Time{}
	}
}

// forgo has no attempt follow the failed one.
func (r *Run) forgo(why string) {
	r.NotBefore = time.Time{}
	if r.Cause != nil {
		r.Cause.Retry = &RetryPlan{Why: why}
	}
}

// FallBack lets a queued run use the nodes that it avoids, since no others can hold it. One that avoids none is [ErrNotQueued].
func (r *Run) FallBack(now time.Time) (*Event, error) {
	if r.State != Queued || r.Shape.Avoid == "" {
		return nil, ErrNotQueued
	}
	_, names := r.Ledger.Avoided()
	on := strings.Join(names, ", ")
	r.Shape.Avoid = ""
	return &Event{RunID: r.ID, At: now, Kind: "retry", Level: "warning", Actor: Console, Attempt: r.Attempt, Rank: -1,
		Message: "no other node can hold it now, so it may run on " + on + " again"}, nil
}

// ForgetFailures gives a run all its retries back: a person has looked at it. Nodes with failures of hardware stay avoided.
func (r *Run) ForgetFailures() {
	r.Ledger = RetryLedger{Best: r.Ledger.Best, Strikes: r.Ledger.Strikes, Broken: r.Ledger.Broken}
	r.Retried, r.PortConflicts, r.GivenUp = 0, 0, false
}

// verdict is a decision about a failed attempt.
type verdict struct {
	again              bool
	why                string // as the end of a sentence; "" where there is nothing to say
	wait               time.Duration
	ledger             RetryLedger
	retried, conflicts int
}

// judge decides, changing nothing.
func (r *Run) judge(f Failure, rules RetryRules) verdict {
	v := verdict{ledger: r.Ledger.clone(), retried: r.Retried, conflicts: r.PortConflicts}
	j := judgement{r: r, f: f, rule: r.ruleOf(f, rules), got: r.reached(f)}
	if j.rule.EntityEnds && f.Cause.Entity != "" {
		j.entity = fingerprintOf(f)
	}
	switch {
	case r.GivenUp:
		v.why = "not tried again on request"
		return v
	case r.StopRequested, !f.Found: // purged from Nomad: how it ended is unknown
		return v
	case portConflict(f.Workers) && r.PortConflicts < MaxPortConflicts:
		v.conflicts++
		v.again, v.wait = true, RetryRule{}.wait(v.conflicts)
		v.why = "its ports were taken before training started, which does not count as a retry"
		return v
	}
	j.count(&v)
	if v.why = j.refusal(&v); v.why != "" {
		return v
	}
	j.follow(&v)
	return v
}

// judgement is a failed attempt being judged.
type judgement struct {
	r        *Run
	f        Failure
	rule     RetryRule
	got      reach
	progress bool
	entity   string // the fingerprint that may fail only once, or ""
	repeated bool   // it has failed before
	alike    int    // the attempt before that failed of the same cause since then, 0 for none
	failures int    // of this cause since the last progress, with this one
	best     int64  // before this attempt
}

// count enters the failure into the ledger.
func (j *judgement) count(v *verdict) {
	l := &v.ledger
	j.best = l.Best
	if j.progress = j.got.known && j.got.step > l.Best; j.progress {
		l.Best, l.Failures, l.Last, v.retried = j.got.step, map[string]int{}, map[string]int{}, 0
	}
	if j.got.known {
		l.Unknown = 0
		l.Failures[fingerprintOf(j.f)]++
		j.alike, l.Last[fingerprintOf(j.f)] = l.Last[fingerprintOf(j.f)], j.r.Attempt
	} else {
		l.Unknown++
	}
	j.failures = l.Failures[fingerprintOf(j.f)]
	if j.entity != "" {
		j.repeated = slices.Contains(l.Entities, j.entity)
		l.Entities = note(l.Entities, j.entity, maxEntities)
	}
	if j.rule.OlderCheckpoint && j.f.Resume != "" {
		l.damaged(j.f.Resume, j.r.Attempt)
	}
	if s, ok := j.strike(); ok {
		l.strike(s)
	}
}

// strike is the node that the failure counts against.
func (j *judgement) strike() (Strike, bool) {
	if !j.rule.OtherNode || j.f.Cause == nil {
		return Strike{}, false
	}
	i := slices.IndexFunc(j.f.Workers, func(w Worker) bool { return w.Rank == j.f.Cause.Rank && w.NodeID != "" })
	if i < 0 {
		return Strike{}, false
	}
	w := j.f.Workers[i]
	return Strike{NodeID: w.NodeID, Node: w.NodeName, Category: j.f.Cause.Category, Attempt: j.r.Attempt}, true
}

// changes reports whether the next attempt would differ in what this one failed of.
func (j *judgement) changes() bool { return j.rule.OlderCheckpoint && j.f.Resume != "" }

const withoutRetries = "not tried again: it was submitted without retries"

// refusal says why no attempt follows, "" if one does.
func (j *judgement) refusal(v *verdict) string {
	o, cause := j.r.Options, j.f.Cause
	first := j.r.root(j.f)
	budget := o.RetriesOf(j.rule)
	_, asked := o.Retry[j.rule.Category]
	insists := asked && budget > 0
	switch {
	case o.most() == 0 && first != nil && first.Hopeless():
		return withoutRetries
	case first != nil && first.Hopeless(), j.rule.Never, cause != nil && !cause.Retryable && !j.changes() && !insists:
		return "not tried again: unchanged it would fail in the same way"
	case o.most() == 0:
		return withoutRetries
	case budget == 0 && asked:
		return "not tried again: the run asks for no retries of " + j.rule.Category
	case budget == 0:
		return "not tried again: a retry does not help against " + j.rule.Category
	case j.repeated:
		return "not tried again: " + cause.Entity + " has failed before, so it would again"
	case !j.got.known && v.ledger.Unknown > MaxUnknownProgress:
		return fmt.Sprintf("not tried again: of %d attempts in a row nothing tells how far they got", v.ledger.Unknown)
	case j.got.known && j.failures > budget:
		return fmt.Sprintf("not tried again: no progress since %s, and it failed of the same cause as %s; %s%s", j.mark(), j.before(), used(j.failures-1, budget), o.limit(j.rule))
	case j.got.known && v.retried >= max(o.Retries, budget):
		return fmt.Sprintf("not tried again: no progress since %s; %s by all causes together", j.mark(), used(v.retried, max(o.Retries, budget)))
	}
	return ""
}

// mark is how far earlier attempts got, as a person reads it.
func (j *judgement) mark() string {
	if j.best == 0 {
		return "the first attempt, before the first step"
	}
	return fmt.Sprintf("step %d", j.best)
}

// before is the attempt that failed of the same cause, as a person reads it.
func (j *judgement) before() string {
	if j.alike == 0 || j.alike == j.r.Attempt { // counted by an older version
		return "an earlier attempt"
	}
	return fmt.Sprintf("attempt %d", j.alike)
}

func used(n, of int) string {
	switch {
	case n > of: // the rules allow fewer than they did
		return fmt.Sprintf("%d retries used, and %d allowed now", n, of)
	case of == 1:
		return fmt.Sprintf("%d of 1 retry used", n)
	}
	return fmt.Sprintf("%d of %d retries used", n, of)
}

// follow has another attempt follow, and says why.
func (j *judgement) follow(v *verdict) {
	budget, limit := j.r.Options.RetriesOf(j.rule), j.r.Options.limit(j.rule)
	v.again, v.wait = true, j.rule.wait(max(1, j.failures+v.ledger.Unknown))
	switch {
	case !j.got.known:
		v.why = fmt.Sprintf("nothing tells how far it got, so it uses up no retry (%d of at most %d such attempts in a row)", v.ledger.Unknown, MaxUnknownProgress)
	case j.progress && j.r.Retried > 0:
		v.retried++
		v.why = fmt.Sprintf("retry 1 of %d%s; counted anew, because it got from step %d to step %d", budget, limit, j.best, j.got.step)
	default:
		v.retried++
		v.why = fmt.Sprintf("retry %d of %d%s", j.failures, budget, limit)
		if j.failures > 1 {
			v.why += "; no progress since " + j.mark()
		}
	}
	if s, ok := j.strike(); ok {
		v.why += "; not on " + s.Node + ", where it failed"
	}
	if j.rule.OlderCheckpoint && j.f.Resume != "" {
		v.why += "; from a checkpoint older than " + j.f.Resume
	}
}

// NoteReach notes how far an attempt got that ended for another reason than a failure: what it reached is progress, too.
func (r *Run) NoteReach(f Failure) {
	if got := r.reached(f); got.known && got.step > r.Ledger.Best && r.NextResume != ResumeStart {
		r.Ledger.Best, r.Ledger.Failures, r.Ledger.Last, r.Retried = got.step, nil, nil, 0
	}
}

// reach is how far an attempt got.
type reach struct {
	step  int64 // newest step, or step of a complete checkpoint; 0 for none
	known bool  // false where logs that would tell are missing
}

func (r *Run) reached(f Failure) reach {
	out := reach{known: true}
	for _, w := range f.Workers {
		out.step = max(out.step, w.Report.Step)
		out.known = out.known && (w.Report.Read || !w.Started)
	}
	own := slices.DeleteFunc(slices.Clone(f.Saved), func(s SavedCheckpoint) bool { return s.Attempt != r.Attempt })
	if points := r.ResumeFrom(own); len(points) > 0 {
		out.step = max(out.step, points[0].Step)
	}
	out.known = out.known || out.step > 0
	return out
}

// ruleOf is the rule for a failure.
func (r *Run) ruleOf(f Failure, rules RetryRules) RetryRule {
	if f.Cause.Known() {
		return rules.Of(f.Cause.Category)
	}
	if w := r.root(f); w == nil || w.State == WorkerLost { // Nomad never placed all, or lost one
		return lostNode
	}
	return rules.Of(UnknownCause)
}

// fingerprintOf is what failures of one cause have in common.
func fingerprintOf(f Failure) string {
	if f.Cause == nil {
		return UnknownCause
	}
	return f.Cause.Fingerprint[:min(len(f.Cause.Fingerprint), maxFingerprint)]
}

// Hopeless reports whether another attempt would fail in the same way.
func (w Worker) Hopeless() bool {
	code, signal := w.Exit()
	return w.Exited && signal == 0 && (code == ExitUsage || code == ExitMissing || code == ExitNoCommand)
}

// portConflict reports whether an attempt ended because a worker did not get its ports. The others must have ended as a
// consequence: stopped, by a signal, or in vain waiting for worker 0.
func portConflict(ws []Worker) bool {
	found := false
	for _, w := range ws {
		switch {
		case w.OK():
			return false
		case w.Exited && w.ExitCode == ExitPorts:
			found = true
		case w.Exited && w.ExitCode == ExitRendezvous, w.Stopping, w.Signal != 0, w.ExitCode >= firstSignalExit:
		default:
			return false
		}
	}
	return found
}

// Expired reports whether the run has exceeded its maximum duration.
func (r *Run) Expired(now time.Time) bool {
	limit := time.Duration(r.MaxSeconds()) * time.Second
	return limit > 0 && !r.StartedAt.IsZero() && now.Sub(r.StartedAt) >= limit
}

// MaxSeconds is how many seconds after its first start the run is stopped, 0 for never: its maximum duration and the time that
// it was idle.
func (r *Run) MaxSeconds() int64 {
	if r.Options.MaxDuration <= 0 {
		return 0
	}
	return r.Options.MaxDuration + r.Idle
}

// ShortDuration formats a duration without trailing zero units: "2h30m", "45s", "1h".
func ShortDuration(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
