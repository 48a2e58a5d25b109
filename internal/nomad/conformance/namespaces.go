package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// testNamespaces has runs of a project in a namespace of its own. The embedded agent has one namespace, and says so.
func testNamespaces(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	own := cmp.Or(target.Config.Namespace, "default")
	b.shape.Namespace = "cotrain-conformance-" + b.shape.Hash()
	t.Run("one that is not there", func(t *testing.T) {
		_, _, err := b.client.DispatchRun(b.context(), b.shape, b.attempt("exit 0"))
		if !errors.Is(err, fault.ErrNamespace) || !strings.Contains(err.Error(), b.shape.Namespace) {
			t.Errorf("a dispatch gives %v", err)
		}
		err = b.client.CheckSettings(b.context(), access.Settings{}, access.Settings{Namespace: b.shape.Namespace, NodePool: "cotrain-none"})
		var errs run.FieldErrors
		if !errors.As(err, &errs) || len(errs) != 2 || !strings.Contains(errs[0].Rule, own) || !strings.Contains(errs[1].Rule, "all, default") {
			t.Errorf("its settings give %v", err)
		}
		if err := b.client.CheckSettings(b.context(), access.Settings{}, access.Settings{Namespace: own, NodePool: "default"}); err != nil {
			t.Error(err)
		}
	})
	if r := b.operator("PUT", "/v1/namespace/"+b.shape.Namespace, map[string]string{"Name": b.shape.Namespace}); r.Code == http.StatusNotFound {
		t.Skip("the agent has one namespace")
	} else if r.Code != http.StatusOK {
		t.Fatalf("make the namespace: %d %s", r.Code, r.Body)
	}
	t.Cleanup(func() {
		b.clean()
		b.children, b.parents = nil, nil
		b.eventually("the namespace to be deleted", func(context.Context) (bool, string) {
			r := b.operator("DELETE", "/v1/namespace/"+b.shape.Namespace, nil)
			return r.Code == http.StatusOK, r.Body
		})
	})
	if err := b.client.CheckSettings(b.context(), access.Settings{}, access.Settings{Namespace: b.shape.Namespace}); err != nil {
		t.Error(err)
	}
	t.Run("its runs are followed", func(*testing.T) { b.followsEvents() })
	t.Run("a run is stopped, and the same token finds it", func(t *testing.T) {
		d := b.attempt("echo in $NOMAD_NAMESPACE; sleep 600")
		parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
		if err != nil {
			t.Fatal(err)
		}
		b.track(parent, child)
		if _, again, err := b.client.DispatchRun(b.context(), b.shape, d); err != nil || again != child {
			t.Errorf("sent again it is %s, %v; want %s", again, err, child)
		}
		w := b.workers(child, 1, "it to run", func(w run.Worker) bool { return w.State == run.WorkerRunning })[0]
		b.printed(w.AllocID, "stdout", "in "+b.shape.Namespace+"\n")
		if err := b.client.Stop(b.context(), child); err != nil {
			t.Fatal(err)
		}
		b.ended(child)
		b.eventually("the job to be dead", func(ctx context.Context) (bool, string) {
			_, state, err := b.client.Workers(ctx, child)
			return err == nil && state == nomad.JobState{Status: "dead", Stopped: true, Found: true}, fmt.Sprintf("%+v %v", state, err)
		})
	})
	t.Run("why it waits", func(t *testing.T) {
		memory := b.shape.Memory
		b.shape.Memory = 1 << 30
		child := b.dispatch("exit 0")
		b.shape.Memory = memory
		b.eventually("the reason", func(ctx context.Context) (bool, string) {
			why, err := b.client.WhyPending(ctx, child)
			return err == nil && strings.Contains(why, "MiB of memory"), fmt.Sprint(why, err)
		})
		if _, _, state, err := b.client.Job(b.context(), b.shape); err != nil || state != run.ParentCurrent {
			t.Errorf("its parent is %s, %v", state, err)
		}
		if fits, reason, _, err := b.client.Plan(b.context(), b.shape, 0); err != nil || !fits {
			t.Errorf("one that fits does not: %s, %v", reason, err)
		}
	})
}
