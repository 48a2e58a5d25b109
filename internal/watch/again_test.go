package watch_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
)

// ends has all workers end as those that were told to.
func (r *rig) ends() {
	r.looks("it is stopped", func(got run.Run) bool { return got.State == run.Stopping })
	for rank := range 3 {
		r.cluster.Set(r.child, rank, func(w *run.Worker) { w.State, w.Stopping, w.Exited, w.ExitCode = run.WorkerComplete, true, true, 143 })
	}
}

// next sends another attempt of a queued run, whose three workers run.
func (r *rig) next() {
	r.t.Helper()
	was := r.becomes(run.Queued)
	var err error
	if r.child, err = r.cluster.Dispatch(r.t.Context(), nomad.Dispatch{Parent: "p", Token: fmt.Sprint(was.Attempt + 1)}); err != nil {
		r.t.Fatal(err)
	}
	r.update(func(u *store.Update) error {
		if _, err := u.Run.Claim(&u.Attempt, "", time.Now()); err != nil {
			return err
		}
		u.Attempt.JobID = r.child
		_, err := u.Run.Transition(run.Pending, "test", "", time.Now())
		return err
	})
	for rank := range 3 {
		r.cluster.Set(r.child, rank, nomadtest.Start)
	}
	r.becomes(run.Running)
}

// rises is the loss of a run that diverges from a step on.
func rises(from int) func(int) string {
	return func(step int) string {
		if step >= from {
			return fmt.Sprint(5 + step - from)
		}
		return usual(step)
	}
}

func TestALossThatDivergesAgainIsSentBackUntilThatIsUsedUp(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("a console that was restarted: %v", restarted), func(t *testing.T) {
			t.Parallel()
			r := watchedRig(t, run.Options{OnDivergence: run.PolicyRollback, RollbackLR: 0.5})
			resumed := 0
			for attempt, trouble := range []int{160, 120, 110, 105} { // each soon after the step that it continues from
				if attempt > 0 {
					r.ends()
					r.next()
					resumed = 100
				}
				if restarted {
					r.stop()
					r.start()
				}
				for rank, loss := range []func(int) string{usual, rises(trouble), usual} {
					r.trains(rank, resumed+1, trouble+20, 1, loss)
				}
				r.looks("it is stopped", func(got run.Run) bool { return got.State == run.Stopping })
				got := r.becomes(run.Stopping)
				want := fmt.Sprintf("the loss of worker 1 (node-1) rose from about 3.03 at step %d and stays above what is usual", trouble)
				switch attempt {
				case 0:
					want += "; continues from the beginning (1 of 3): no checkpoint is older than step 160, with the learning rate multiplied by 0.5"
				case 3:
					want += ", after it went back 3 times"
				default:
					want += fmt.Sprintf("; continues from the beginning (%d of 3), from which it went no further than step %d, with the learning rate multiplied by %g", attempt+1, trouble, math.Pow(0.5, float64(attempt+1)))
				}
				if got.StopReason != want {
					t.Fatalf("attempt %d is stopped because %q, want %q", attempt+1, got.StopReason, want)
				}
			}
			r.ends()
			got := r.becomes(run.Failed)
			c := got.Cause
			if c == nil || c.Category != "loss_spike" || c.Title == "" || c.Rank != 1 || c.Retryable || !strings.HasSuffix(c.Summary, "usual, after it went back 3 times.") || len(c.Evidence) == 0 || c.Evidence[0].Pos == 0 || got.Rollback.Before != 105 {
				t.Errorf("the cause is %+v, and it went back to %+v", c, got.Rollback)
			}
			if !strings.HasPrefix(got.Reason, strings.TrimSuffix(c.Summary, ".")) || got.Attempt != 4 || got.Retried != 0 {
				t.Errorf("attempt %d ended because %q", got.Attempt, got.Reason)
			}
		})
	}
}

// TestWhatWasWrongWithAnEarlierAttemptIsNotToldOfTheNext is about a run that a person restarted where it was.
func TestWhatWasWrongWithAnEarlierAttemptIsNotToldOfTheNext(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	for rank, loss := range []func(int) string{usual, rises(100), usual} {
		r.trains(rank, 1, 200, 1, loss)
	}
	r.noticed(run.NoticeDiverged)
	r.update(func(u *store.Update) error {
		_, err := u.Run.Restart(run.ResumeNewest, "me", "", time.Now())
		return err
	})
	r.ends()
	r.next()
	for rank, loss := range []func(int) string{usual, rises(100), usual} {
		r.trains(rank, 201, 280, 1, loss)
	}
	r.reaches(280)
	r.looks("it is looked at", func(got run.Run) bool { return got.Attempt == 2 })
	if got := r.becomes(run.Running); len(got.Notices) != 0 {
		t.Errorf("the notices are %+v", got.Notices)
	}
}

func TestANoticeOfALossOutlivesTheConsoleUntilTheLossIsAsBefore(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	high := func(step int) string {
		if step >= 100 && step < 700 {
			return fmt.Sprintf("%f", 6+float64(step%7)/100)
		}
		return usual(step)
	}
	for rank, loss := range []func(int) string{usual, high, usual} {
		r.trains(rank, 1, 600, 1, loss)
	}
	r.noticed(run.NoticeDiverged)
	r.reaches(600)
	r.stop()
	r.start()
	r.looks("it is looked at", func(got run.Run) bool { return got.State == run.Running })
	for rank, loss := range []func(int) string{usual, high, usual} {
		r.trains(rank, 601, 690, 1, loss)
	}
	r.reaches(690)
	if n := r.noticed(run.NoticeDiverged); n.Rank != 1 || n.Step != 100 || len(r.events("divergence_over")) != 0 {
		t.Errorf("the notice is %+v; %d events say that it is over", n, len(r.events("divergence_over")))
	}
	for rank, loss := range []func(int) string{usual, high, usual} {
		r.trains(rank, 691, 780, 1, loss)
	}
	r.looks("it is over", func(got run.Run) bool { return got.Notice(run.NoticeDiverged) == nil })
	if evs := r.events("divergence_over"); len(evs) != 1 || evs[0].Message != "the loss is as usual again" {
		t.Errorf("the events are %+v", evs)
	}
}

func TestAPlateauIsSeenAcrossAttempts(t *testing.T) {
	t.Parallel()
	r := watchedRigOf(t, run.Options{}, 2000)
	r.trains(0, 1, 1200, 1, usual) // some steps less than it takes
	r.reaches(1200)
	r.looks("nothing is wrong", func(got run.Run) bool { return len(got.Notices) == 0 })
	r.update(func(u *store.Update) error {
		_, err := u.Run.Restart(run.ResumeNewest, "me", "", time.Now())
		return err
	})
	r.ends()
	r.next()
	r.trains(0, 1201, 1600, 1, usual)
	if n := r.noticed(run.NoticePlateau); n.Rank != -1 || n.Step == 0 {
		t.Errorf("the notice is %+v", n)
	}
}

// TestTheRhythmOfEarlierAttemptsLimitsTheNext has an attempt hang after few steps, which tell no rhythm by themselves.
func TestTheRhythmOfEarlierAttemptsLimitsTheNext(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, run.Options{})
	for step := 1; step <= 40; step++ { // each a batch of its own time
		for rank := range 3 {
			r.trains(rank, step, step, 0.005, usual)
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.reaches(40)
	r.update(func(u *store.Update) error {
		_, err := u.Run.Restart(run.ResumeNewest, "me", "", time.Now())
		return err
	})
	r.ends()
	r.next()
	for step := 41; step <= 43; step++ {
		for rank := range 3 {
			r.trains(rank, step, step, 0.005, usual)
		}
		r.reaches(int64(step))
	}
	r.looks("nothing is wrong", func(got run.Run) bool { return len(got.Notices) == 0 })
	r.skip.Add(int64(3 * time.Minute)) // far less than what is unknown may take
	if n := r.noticed(run.NoticeHang); n.Step != 43 {
		t.Errorf("the notice is %+v", n)
	}
}
