package queue_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

var hub = run.Secret{Name: "HF_TOKEN", In: run.InNomad, Path: "cotrain/hub", Field: "token", Env: "HF_TOKEN"}

// ask adds a queued run that asks for a secret.
func (r *rig) ask(id run.ID, priority int) {
	r.t.Helper()
	x := run.Run{ID: id, Project: "default", State: run.Queued, Config: "x = 1\n", Shape: run.Shape{Nodes: 1}, Options: run.Options{Priority: priority, Secrets: run.SecretNames{"HF_TOKEN"}}}
	if _, _, err := r.store.CreateRun(r.t.Context(), x, "", run.Event{RunID: id}); err != nil {
		r.t.Fatal(err)
	}
}

func TestRunsWithoutTheirSecretsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 40 { // more than are looked at together, and all of them come first
			r.ask(run.ID("r-00000001"+string(rune('0'+i/10))+string(rune('0'+i%10))), 90)
		}
		r.queue.Round(t.Context())
		if got := r.run().State; got != run.Pending {
			t.Errorf("one that asks for nothing is %s", got)
		}
		held := r.get("r-0000000100")
		if held.State != run.Queued || held.Reason != "waits: the secret HF_TOKEN is not registered" || held.Attempt != 0 {
			t.Errorf("held: %+v", held)
		}
		if err := r.store.RegisterSecret(t.Context(), hub); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		r.queue.Round(t.Context())
		for i := range 40 {
			if got := r.get(run.ID("r-00000001" + string(rune('0'+i/10)) + string(rune('0'+i%10)))); got.State != run.Pending {
				t.Errorf("%s is %s: %s", got.ID, got.State, got.Reason)
			}
		}
		evs, err := r.store.Events(t.Context(), "r-0000000100", 0, 100)
		if err != nil || len(evs) != 3 { // queued, dispatching, pending
			t.Errorf("events %+v, %v", evs, err)
		}
	})
}

func TestASecretThatMovedCountsFromTheNextAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.store.RegisterSecret(t.Context(), hub); err != nil {
		t.Fatal(err)
	}
	r.ask("r-0000000100", 50)
	moved := hub
	moved.In, moved.Path = run.InVault, "secret/cotrain/shared/hub"
	if err := r.store.ChangeSecret(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.queue.Round(t.Context())
	}
	got := r.get("r-0000000100")
	attempts, err := r.store.Attempts(t.Context(), got.ID)
	if err != nil || !got.Shape.Vault || got.State != run.Pending || len(attempts) != 1 || attempts[0].ParentJob != got.Shape.ParentJob() {
		t.Fatalf("%+v, attempts %+v, %v", got, attempts, err)
	}
	if d := r.cluster.Dispatched(attempts[0].JobID); len(d.Secrets) != 1 || d.Secrets[0] != moved.Ref() || attempts[0].Secrets[0] != moved.Ref() {
		t.Errorf("sent %+v", d)
	}
}

func TestAnUnansweredAttemptKeepsItsSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.store.RegisterSecret(t.Context(), hub); err != nil {
		t.Fatal(err)
	}
	r.ask("r-0000000100", 50)
	r.cluster.LoseAnswers(fault.ErrUnavailable)
	if err := r.queue.Send(t.Context(), "r-0000000100"); err == nil {
		t.Fatal("no answer got lost")
	}
	r.cluster.LoseAnswers(nil)
	if err := r.store.RemoveSecret(t.Context(), hub.Name); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if err := r.queue.Send(t.Context(), "r-0000000100"); err != nil {
		t.Fatal(err)
	}
	if got := r.get("r-0000000100"); got.State != run.Pending || strings.Contains(got.Reason, "secret") {
		t.Errorf("what Nomad has is %s: %s", got.State, got.Reason)
	}
	if n := len(r.cluster.Jobs()); n != 1 {
		t.Errorf("%d jobs", n)
	}
}
