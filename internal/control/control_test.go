package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/feed"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/nomad/nomadtest"
	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type logs struct{ forgotten []run.ID }

func (l *logs) Forget(id run.ID) { l.forgotten = append(l.forgotten, id) }

type rig struct {
	cluster *nomadtest.Cluster
	store   *store.Store
	control *control.Control
	logs    *logs
	hub     *feed.Hub
	queue   *queue.Queue
	looked  []run.ID

	projects control.Projects // counts from the next useCluster, as does
	vault    control.Vault
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s, err := store.OpenAt(t.Context(), t.TempDir(), db.Options{Twice: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{cluster: nomadtest.New(), store: s, logs: &logs{}, hub: feed.NewHub(time.Now)}
	r.useCluster(r.cluster)
	return r
}

// register registers a secret.
func (r *rig) register(s run.Secret) {
	if _, err := r.control.RegisterSecret(context.Background(), s); err != nil {
		panic(err)
	}
}

// useCluster makes a queue and a control over a cluster.
func (r *rig) useCluster(c cluster) {
	logger := slog.New(slog.DiscardHandler)
	r.queue = queue.New(queue.Options{Cluster: c, Store: r.store, Publisher: r.hub, Logger: logger, Now: time.Now, Dispatched: func(run.ID) {}})
	r.control = control.New(control.Options{
		Store: r.store, Queue: r.queue, Cluster: c, Logs: r.logs, Publisher: r.hub, Logger: logger, Now: time.Now,
		ReconcileSoon: func(id run.ID) { r.looked = append(r.looked, id) }, Projects: r.projects, Vault: r.vault,
	})
}

type cluster interface {
	queue.Cluster
	control.Cluster
}

const config = `name_model = "debugmodel"
[data]
fake = true
[optim]
batch_size = 16
warmup_steps = 2
total_steps = 18
[train]
micro_bs = 8
[diloco]
inner_steps = 5
`

func submission() run.Submission {
	return run.Submission{Name: " first run ", Config: config, Shape: run.Shape{Nodes: 2}}
}

// submit submits, lets the queue look once, and returns the run as it then is.
func submit(t *testing.T, r *rig) run.Run {
	t.Helper()
	got, err := r.control.Submit(t.Context(), "test", submission())
	if err != nil {
		t.Fatal(err)
	}
	r.queue.Round(t.Context())
	if got, err = r.store.Run(t.Context(), got.ID); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSubmitStoresAndSends(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	got := submit(t, r)
	if got.Name != "first run" || got.State != run.Pending || got.StepsTotal != 20 || got.InnerSteps != 5 || got.Shape.CPU != run.DefaultWorkerCPU {
		t.Errorf("got %+v", got)
	}
	if jobs := r.cluster.Jobs(); len(jobs) != 1 || r.cluster.Payload(jobs[0]) != config {
		t.Errorf("jobs are %v", jobs)
	}
}

// hanging is a Nomad that accepts connections and never answers.
type hanging struct{ *nomadtest.Cluster }

func (hanging) Room(ctx context.Context) (nomad.Room, error) {
	<-ctx.Done()
	return nomad.Room{}, fmt.Errorf("list nodes: %w: %w", fault.ErrUnavailable, ctx.Err())
}

func TestSubmitDoesNotWaitForNomad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.useCluster(hanging{r.cluster})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.queue.Run(ctx) }()
		before := time.Now() // of the bubble's clock, which moves on only while everybody waits
		got, err := r.control.Submit(t.Context(), "test", submission())
		if err != nil || got.State != run.Queued || !time.Now().Equal(before) {
			t.Errorf("after %s the run is %s, %v", time.Since(before), got.State, err)
		}
		time.Sleep(time.Minute)
		if got, err := r.store.Run(t.Context(), got.ID); err != nil || got.State != run.Queued || got.Reason != "Nomad unreachable, retrying" {
			t.Errorf("run is %s: %s, %v", got.State, got.Reason, err)
		}
		evs, err := r.store.Events(t.Context(), got.ID, 0, 100)
		if err != nil || len(evs) != 1 {
			t.Errorf("waiting has left %d events, %v", len(evs), err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestSubmitWithARepeatedKeyMakesOneRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Key = "k"
	first, err := r.control.Submit(t.Context(), "test", s)
	if err != nil {
		t.Fatal(err)
	}
	r.queue.Round(t.Context())
	again, err := r.control.Submit(t.Context(), "test", s)
	r.queue.Round(t.Context())
	if err != nil || again.ID != first.ID || len(r.cluster.Jobs()) != 1 {
		t.Errorf("second is %s after %s, %v, jobs %v", again.ID, first.ID, err, r.cluster.Jobs())
	}
}

func TestAKeyOfAnotherSubmissionIsAConflict(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s := submission()
	s.Key = "k"
	if _, err := r.control.Submit(t.Context(), "test", s); err != nil {
		t.Fatal(err)
	}
	s.Name = "another"
	if _, err := r.control.Submit(t.Context(), "test", s); !errors.Is(err, fault.ErrConflict) || !strings.Contains(fault.Of(err).Text(), "which was submitted with other settings. Use a new key") {
		t.Errorf("got %v", err)
	}
}

func TestTooLongAConfigurationIsToldInTheWordsOfTrainconf(t *testing.T) {
	t.Parallel()
	s := submission()
	s.Config += "# " + strings.Repeat("x", trainconf.MaxPayload) + "\n"
	_, err := newRig(t).control.Submit(t.Context(), "test", s)
	var got run.FieldErrors
	if want := trainconf.ValidatePayload(s.Config); !errors.As(err, &got) || len(got) != 1 || got[0] != *want {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestSubmitNamesEveryProblemAtOnceAndStoresNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tc := range []struct {
		name   string
		change func(*run.Submission)
		fields string
	}{
		{"a name of 1000 characters", func(s *run.Submission) { s.Name = strings.Repeat("x", 1000) }, "name"},
		{"no name", func(s *run.Submission) { s.Name = "  " }, "name"},
		{"a shape out of range", func(s *run.Submission) { s.Shape.Nodes, s.Shape.GPUs = 0, -1 }, "nodes gpus"},
		{"an unknown key", func(s *run.Submission) { s.Config += "[optim2]\nx = 1\n" }, "optim2"},
		{"a rule across fields", func(s *run.Submission) { s.Config = strings.Replace(s.Config, "micro_bs = 8", "micro_bs = 7", 1) }, "batch_size"},
		{"a configuration over 16 KiB", func(s *run.Submission) { s.Config += "# " + strings.Repeat("x", 17000) + "\n" }, "config"},
		{"a key that is too long", func(s *run.Submission) { s.Key = strings.Repeat("k", 201) }, "key"},
		{"everything", func(s *run.Submission) { s.Name, s.Shape.Nodes, s.Config = "", 0, "x = 1" }, "name nodes x"},
	} {
		s := submission()
		tc.change(&s)
		_, err := r.control.Submit(t.Context(), "test", s)
		var fes run.FieldErrors
		if !errors.As(err, &fes) || !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v, want field errors", tc.name, err)
			continue
		}
		for _, want := range strings.Fields(tc.fields) {
			found := false
			for _, fe := range fes {
				found = found || strings.Contains(fe.Field, want)
				if fe.Rule == "" || fe.Fix == "" || len(fe.Value) > 210 {
					t.Errorf("%s: %+v lacks a rule or a fix, or is too long", tc.name, fe)
				}
			}
			if !found {
				t.Errorf("%s: no error names %s: %v", tc.name, want, err)
			}
		}
	}
	if runs, err := r.store.Runs(t.Context(), run.RunFilter{Projects: run.AllProjects(), Limit: 10}); err != nil || len(runs) != 0 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}

func TestUnusualNamesAreKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"🚀🚀", "תורה", "<script>alert(1)</script>", `"quoted" \ %s`, "日本語"} {
		s := submission()
		s.Name = name
		if got, err := r.control.Submit(t.Context(), "test", s); err != nil || got.Name != name {
			t.Errorf("%q came back as %q, %v", name, got.Name, err)
		}
	}
}

func TestSubmitWithoutNomadStaysQueued(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.SetDown(true)
	got := submit(t, r)
	if got.State != run.Queued || !strings.Contains(got.Reason, "Nomad unreachable, retrying") {
		t.Errorf("got %s: %s", got.State, got.Reason)
	}
	if err := r.control.Stop(t.Context(), "test", got.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := r.store.Run(t.Context(), got.ID); err != nil || got.State != run.Stopped {
		t.Errorf("after a stop it is %s, %v", got.State, err)
	}
}

func TestStopIsOrderedOnceAndRefusesWhatIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := submit(t, r).ID
	for range 2 {
		if err := r.control.Stop(t.Context(), "test", id); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.store.Run(t.Context(), id)
	if err != nil || got.State != run.Stopping || !got.StopRequested {
		t.Errorf("run %+v, %v", got, err)
	}
	orders, err := r.store.Orders(t.Context())
	if want := (store.Order{JobID: r.cluster.Jobs()[0], RunID: id}); err != nil || len(orders) != 1 || orders[0] != want {
		t.Errorf("orders %+v, %v; want %+v", orders, err, want)
	}
	finish(t, r, id)
	if err := r.control.Stop(t.Context(), "test", id); !errors.Is(err, fault.ErrAlreadyEnded) {
		t.Errorf("stopping what is over gave %v", err)
	}
	if err := r.control.Stop(t.Context(), "test", "r-0000000000"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("stopping nothing gave %v", err)
	}
}

func TestAStopOfARunThatNomadMayHaveWaitsForItsAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cluster.LoseAnswers(fmt.Errorf("connection reset: %w", fault.ErrUnavailable))
	id := submit(t, r).ID
	if err := r.control.Stop(t.Context(), "test", id); err != nil {
		t.Fatal(err)
	}
	if got, err := r.store.Run(t.Context(), id); err != nil || got.State != run.Dispatching || !got.StopRequested {
		t.Errorf("run is %s, %v; Nomad has %v", got.State, err, r.cluster.Jobs())
	}
}

func finish(t *testing.T, r *rig, id run.ID) {
	t.Helper()
	_, err := r.store.Update(t.Context(), id, func(u *store.Update) error {
		_, err := u.Run.Transition(run.Stopped, "test", "", time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStopIsAcceptedWhileNomadIsAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := submit(t, r).ID
	r.cluster.SetDown(true)
	if err := r.control.Stop(t.Context(), "test", id); err != nil {
		t.Fatal(err)
	}
	if got, err := r.store.Run(t.Context(), id); err != nil || got.State != run.Stopping {
		t.Errorf("run is %s, %v", got.State, err)
	}
}

func TestDeleteWantsAnEndedRunAndCleansUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := submit(t, r).ID
	if err := r.control.Delete(t.Context(), "test", id); !errors.Is(err, fault.ErrConflict) {
		t.Errorf("deleting a live run gave %v", err)
	}
	if err := r.control.Stop(t.Context(), "test", id); err != nil {
		t.Fatal(err)
	}
	finish(t, r, id)
	if err := r.control.Delete(t.Context(), "test", id); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Run(t.Context(), id); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("the run is still there: %v", err)
	}
	orders, err := r.store.Orders(t.Context())
	if want := (store.Order{JobID: r.cluster.Jobs()[0], RunID: id, Purge: true}); err != nil || len(orders) != 1 || orders[0] != want || len(r.logs.forgotten) != 1 {
		t.Errorf("orders %+v, %v, want %+v; forgotten %v", orders, err, want, r.logs.forgotten)
	}
	if err := r.control.Delete(t.Context(), "test", id); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("deleting twice gave %v", err)
	}
}
