package conformance

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/run"
)

// testComingBack restarts and replaces workers of a DiLoCo run while the others train.
func testComingBack(t *testing.T, target Target) {
	const diloco = "[diloco]\ninner_steps = 5\n"
	const recovery = "--ckpt.live_recovery_rank_src"
	b := newBench(t, target, func(j *nomad.JobSettings) { withRecorder(t, j) })
	b.shape.Nodes = 2
	child, records := b.launch(b.attempt(diloco))

	t.Run("a worker that is restarted in place joins the mesh with a new identity", func(t *testing.T) {
		w := records[1].worker
		for n := 1; n <= 2; n++ {
			if r := b.operator("PUT", "/v1/client/allocation/"+w.AllocID+"/restart", map[string]any{"TaskName": nomad.TaskName}); r.Code != 200 {
				t.Fatalf("restart: %d %s", r.Code, r.Body)
			}
			r := b.record(w, n+1)
			if i := slices.Index(r.args, recovery); i < 0 || r.args[i+1] != "0" {
				t.Errorf("restart %d: arguments %q", n, r.args)
			}
			if want := fmt.Sprintf("%s-%d", w.AllocID, n); r.env["GLOBAL_UNIQUE_ID"] != want {
				t.Errorf("restart %d: identity %q, want %q", n, r.env["GLOBAL_UNIQUE_ID"], want)
			}
		}
	})
	t.Run("worker 0 that is restarted in place makes a new mesh", func(t *testing.T) {
		w := records[0].worker
		if r := b.operator("PUT", "/v1/client/allocation/"+w.AllocID+"/restart", map[string]any{"TaskName": nomad.TaskName}); r.Code != 200 {
			t.Fatalf("restart: %d %s", r.Code, r.Body)
		}
		if r := b.record(w, 2); slices.Contains(r.args, recovery) || r.env["GLOBAL_UNIQUE_ID"] != w.AllocID+"-1" {
			t.Errorf("arguments %q, identity %q", r.args, r.env["GLOBAL_UNIQUE_ID"])
		}
	})
	t.Run("a stopped allocation is replaced by one of the same rank, which joins where the first was", func(t *testing.T) {
		old := records[1].worker
		if r := b.operator("PUT", "/v1/allocation/"+old.AllocID+"/stop", nil); r.Code != 200 {
			t.Fatalf("stop: %d %s", r.Code, r.Body)
		}
		var now run.Worker
		b.eventually("a replacement", func(ctx ctx) (bool, string) {
			workers, _, err := b.client.Workers(ctx, child)
			newest := nomad.NewestPerRank(workers)
			if err != nil || len(newest) != 2 {
				return false, fmt.Sprint(workers, err)
			}
			now = newest[1]
			return now.AllocID != old.AllocID && now.State == run.WorkerRunning, fmt.Sprintf("%+v", workers)
		})
		r := b.record(now, 1)
		if r.env["GLOBAL_UNIQUE_ID"] != now.AllocID || r.env["GLOBAL_RANK"] != "1" {
			t.Errorf("identity %q, rank %q", r.env["GLOBAL_UNIQUE_ID"], r.env["GLOBAL_RANK"])
		}
		if now.NodeID != old.NodeID { // its node was full
			t.Skip("the replacement is on another node: without shared storage it cannot know")
		}
		if !slices.Contains(r.args, recovery) {
			t.Errorf("arguments %q", r.args)
		}
	})
}

func testPriority(t *testing.T, target Target) {
	b := newBench(t, target, nil)
	for priority, want := range map[int]int{0: 50, 70: 70} {
		d := b.attempt("exit 0")
		d.Priority = priority
		parent, child, err := b.client.DispatchRun(b.context(), b.shape, d)
		if err != nil {
			t.Fatal(err)
		}
		b.track(parent, child)
		if job := decode[struct{ Priority int }](b, b.raw("GET", "/v1/job/"+url.PathEscape(child), nil)); job.Priority != want {
			t.Errorf("a dispatch with priority %d has %d, want %d", priority, job.Priority, want)
		}
	}
}
