package queue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/cotrain/cotrain/internal/queue"
	"github.com/cotrain/cotrain/internal/run"
)

// node is a node of a cluster in the mind: what it has, and what is in use by the console's runs and by others.
type node struct {
	id                string
	model             string
	has, ours, others run.Resources
}

// job is a shape in the mind.
type job struct {
	project string
	workers int
	need    run.Resources
	model   string // "" for any
	site    bool   // the job file has a constraint that no node meets
	lax     bool   // the scheduler counts what is ending as free
	odd     bool   // it is known that scheduler and numbers disagree
}

func less(a, b run.Resources) run.Resources {
	return run.Resources{GPUs: a.GPUs - b.GPUs, CPU: a.CPU - b.CPU, Memory: a.Memory - b.Memory}
}

func (n node) free() run.Resources { return less(less(n.has, n.ours), n.others) }

// holds is how many workers of a job an amount of a node has room for, counted one by one.
func (j job) holds(n node, free run.Resources) int {
	if j.need.GPUs > 0 && j.model != "" && j.model != n.model {
		return 0
	}
	count := 0
	for {
		free = less(free, j.need)
		if free.GPUs < 0 || free.CPU < 0 || free.Memory < 0 {
			return count
		}
		count++
	}
}

func (j job) fit(nodes []node) *run.Fit {
	f := &run.Fit{Workers: j.workers, Need: j.need}
	for _, n := range nodes {
		if j.holds(n, n.has) == 0 {
			continue
		}
		free, gpus := n.free(), 1<<10
		if j.need.GPUs > 0 {
			gpus = n.has.GPUs / j.need.GPUs
		}
		f.Nodes = append(f.Nodes, run.NodeFit{
			ID: n.id, Free: j.holds(n, free), Freed: j.holds(n, less(n.has, n.others)), GPUs: gpus, FreeCPU: free.CPU, FreeMemory: free.Memory,
		})
	}
	if f.Now = (f.Free() >= j.workers || j.lax) && !j.site; !f.Now {
		f.Reason = "does not fit"
	}
	return f
}

// decide admits jobs, named a, b, c, and returns those that are sent and the reasons of the others.
func decide(nodes []node, sent []queue.Sent, jobs ...job) (names string, reasons []string) {
	var waiting []queue.Waiting
	for i, j := range jobs {
		waiting = append(waiting, queue.Waiting{Run: queue.Ref{ID: run.ID(rune('a' + i)), Project: j.project}, Fit: j.fit(nodes), Disputed: j.odd})
	}
	for _, d := range queue.Admit(waiting, sent) {
		if d.Send {
			names += string(d.ID)
		} else {
			reasons = append(reasons, fmt.Sprintf("%s %s", d.ID, d.Reason))
		}
	}
	return names, reasons
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	gpu := func(id, model string, used int) node {
		return node{id: id, model: model, has: run.Resources{GPUs: 4, CPU: 1000, Memory: 1000}, ours: run.Resources{GPUs: used, CPU: int64(used) * 100, Memory: int64(used) * 100}}
	}
	wants := func(workers, gpus int, model string) job {
		return job{workers: workers, model: model, need: run.Resources{GPUs: gpus, CPU: 100, Memory: 100}}
	}
	a100 := []node{gpu("1", "A100", 2), gpu("2", "A100", 2)}
	mixed := append(slices.Clone(a100), gpu("3", "L4", 0))
	others := []node{{id: "1", model: "A100", has: run.Resources{GPUs: 4, CPU: 1000, Memory: 1000}, others: run.Resources{GPUs: 2, CPU: 100, Memory: 100}}}
	tight := []node{{id: "1", model: "A100", has: run.Resources{GPUs: 4, CPU: 450, Memory: 450}, ours: run.Resources{GPUs: 1, CPU: 20, Memory: 20}}}
	for name, tc := range map[string]struct {
		nodes []node
		sent  []queue.Sent
		jobs  []job
		want  string
		why   []string
	}{
		"all that fit together are sent":                {nodes: a100, jobs: []job{wants(2, 1, ""), wants(2, 1, "")}, want: "ab"},
		"what does not fit beside those does not":       {nodes: a100, jobs: []job{wants(3, 1, ""), wants(2, 1, "")}, want: "a", why: []string{"b waits until Nomad has placed the workers of run a"}},
		"a small run does not pass a large one":         {nodes: a100, jobs: []job{wants(5, 1, ""), wants(1, 1, "")}, why: []string{"a does not fit", "b waits for run a, which comes first and needs the same nodes"}},
		"not even where the large one has no place yet": {nodes: a100, jobs: []job{wants(1, 4, ""), wants(1, 1, "")}, why: []string{"a does not fit", "b waits for run a, which comes first and needs the same nodes"}},
		"on other nodes it does":                        {nodes: mixed, jobs: []job{wants(5, 1, "A100"), wants(1, 1, "L4")}, want: "b", why: []string{"a does not fit"}},
		"not when it could come to the same":            {nodes: mixed, jobs: []job{wants(5, 1, "A100"), wants(1, 1, "")}, why: []string{"a does not fit", "b waits for run a, which comes first and needs the same nodes"}},
		"without GPUs it does, beside them":             {nodes: a100, jobs: []job{wants(5, 1, ""), {workers: 2, need: run.Resources{CPU: 100, Memory: 100}}}, want: "b", why: []string{"a does not fit"}},
		"not when the GPUs would lack CPU":              {nodes: tight, jobs: []job{wants(4, 1, ""), {workers: 1, need: run.Resources{CPU: 100, Memory: 1}}}, why: []string{"a does not fit", "b waits for run a, which comes first and needs the same nodes"}},
		"one that can never fit keeps nothing":          {nodes: a100, jobs: []job{wants(9, 1, ""), wants(1, 1, "")}, want: "b", why: []string{"a does not fit"}},
		"nor one for whose GPU there is no node":        {nodes: a100, jobs: []job{wants(1, 1, "H200"), wants(1, 1, "")}, want: "b", why: []string{"a does not fit"}},
		"nor one that others' jobs keep out":            {nodes: others, jobs: []job{wants(3, 1, ""), wants(1, 1, "")}, want: "b", why: []string{"a does not fit"}},
		"nor one that the job file keeps out":           {nodes: a100, jobs: []job{{workers: 1, need: run.Resources{GPUs: 1}, site: true, odd: true}, wants(1, 1, "")}, want: "b", why: []string{"a does not fit"}},
		"until that is known it does":                   {nodes: a100, jobs: []job{{workers: 1, need: run.Resources{GPUs: 1}, site: true}, wants(1, 1, "")}, why: []string{"a does not fit", "b waits for run a, which comes first and needs the same nodes"}},
		"workers that are ending are waited for":        {nodes: a100, jobs: []job{{workers: 5, need: run.Resources{GPUs: 1}, lax: true}, wants(1, 1, "")}, why: []string{"a waits for workers that are ending on nodes that it needs", "b waits for run a, which comes first and needs the same nodes"}},
		"but not for ever":                              {nodes: a100, jobs: []job{{workers: 5, need: run.Resources{GPUs: 1}, lax: true, odd: true}}, want: "a"},
		"what was sent and is not placed is counted": {
			nodes: a100, sent: []queue.Sent{{Run: queue.Ref{ID: "x"}, Fit: wants(3, 1, "").fit(a100), Workers: 3}}, jobs: []job{wants(2, 1, "")},
			why: []string{"a waits until Nomad has placed the workers of run x"},
		},
		"as far as it is not placed": {nodes: a100, sent: []queue.Sent{{Run: queue.Ref{ID: "x"}, Fit: wants(3, 1, "").fit(a100), Workers: 2}}, jobs: []job{wants(2, 1, "")}, want: "a"},
		"in the worst of places": {
			nodes: mixed, sent: []queue.Sent{{Run: queue.Ref{ID: "x"}, Fit: wants(1, 1, "").fit(mixed), Workers: 1}}, jobs: []job{wants(1, 4, "")},
			why: []string{"a waits until Nomad has placed the workers of run x"},
		},
		"but not on nodes where it cannot be": {nodes: mixed, sent: []queue.Sent{{Run: queue.Ref{ID: "x"}, Fit: wants(1, 1, "A100").fit(mixed), Workers: 1}}, jobs: []job{wants(1, 4, "")}, want: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, why := decide(tc.nodes, tc.sent, tc.jobs...)
			if got != tc.want || !slices.Equal(why, tc.why) {
				t.Errorf("sent %q, want %q; %q, want %q", got, tc.want, why, tc.why)
			}
		})
	}
}

// TestWhatIsSentFitsAndTakesNothingFromThoseAhead plays a cluster whose scheduler puts workers wherever there is room, at
// any time after they were sent, and in any order.
func TestWhatIsSentFitsAndTakesNothingFromThoseAhead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := newPlay(t)
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"submit", "submit", "round", "place", "place", "end"}).Draw(t, "step") {
			case "submit":
				p.submit()
			case "round":
				p.round()
			case "place":
				p.place()
			case "end":
				p.end()
			}
		}
		p.drain()
	})
}

// play is a cluster, the runs that wait for it and those that were sent.
type play struct {
	t       *rapid.T
	nodes   []node
	jobs    []job
	waiting []*played
	sent    []*played
	n       int
}

type played struct {
	id     run.ID
	job    int
	left   int   // workers that are not placed
	at     []int // nodes of those that are
	passed []job // those that it passed, which keep what they need
}

func newPlay(t *rapid.T) *play {
	p := &play{t: t}
	amount := func(gpus int, cpu int64, what string) run.Resources {
		return run.Resources{
			GPUs: rapid.IntRange(0, gpus).Draw(t, what+" GPUs"), CPU: rapid.Int64Range(0, cpu).Draw(t, what+" CPU"), Memory: rapid.Int64Range(1, cpu).Draw(t, what+" memory"),
		}
	}
	models := []string{"A100", "L4"}
	for i := range rapid.IntRange(1, 4).Draw(t, "nodes") {
		p.nodes = append(p.nodes, node{id: fmt.Sprint(i), model: rapid.SampledFrom(models).Draw(t, "model"), has: amount(4, 12, "has")})
	}
	for range rapid.IntRange(1, 4).Draw(t, "shapes") {
		p.jobs = append(p.jobs, job{
			workers: rapid.IntRange(1, 4).Draw(t, "workers"), need: amount(2, 4, "needs"),
			model: rapid.SampledFrom(append(models, "")).Draw(t, "wants"), site: rapid.IntRange(0, 9).Draw(t, "site") == 0,
		})
	}
	return p
}

func (p *play) submit() {
	p.n++
	p.waiting = append(p.waiting, &played{id: run.ID(fmt.Sprint("r", p.n)), job: rapid.IntRange(0, len(p.jobs)-1).Draw(p.t, "job")})
}

// round decides, and sends what is to be sent.
func (p *play) round() {
	fits := make([]*run.Fit, len(p.jobs))
	for i, j := range p.jobs {
		fits[i] = j.fit(p.nodes)
	}
	var waiting []queue.Waiting
	var sent []queue.Sent
	for _, r := range p.waiting {
		waiting = append(waiting, queue.Waiting{Run: queue.Ref{ID: r.id}, Fit: fits[r.job], Disputed: p.jobs[r.job].site})
	}
	settled := true
	for _, r := range p.sent {
		if r.left > 0 {
			settled = false
			sent = append(sent, queue.Sent{Run: queue.Ref{ID: r.id}, Fit: fits[r.job], Workers: r.left})
		}
	}
	var still []*played
	for i, d := range queue.Admit(waiting, sent) {
		r := p.waiting[i]
		if d.ID != r.id || d.Send != (d.Reason == "") {
			p.t.Fatalf("decision %d is %+v", i, d)
		}
		if d.Send {
			r.left = p.jobs[r.job].workers
			p.sent = append(p.sent, r)
			for _, first := range still {
				if j := p.jobs[first.job]; p.keeps(j) {
					r.passed = append(r.passed, j)
				}
			}
			continue
		}
		if settled && len(p.sent) == 0 && len(still) == 0 && fits[r.job].Now {
			p.t.Fatalf("%s is the first, fits, and is not sent: %s", r.id, d.Reason)
		}
		still = append(still, r)
	}
	p.waiting = still
}

// keeps reports whether a job that waits could be started once the console's runs have ended.
func (p *play) keeps(j job) bool {
	freed, free := 0, 0
	for _, n := range p.nodes {
		freed, free = freed+j.holds(n, less(n.has, n.others)), free+j.holds(n, n.free())
	}
	return freed >= j.workers && free < j.workers
}

// place puts a worker that was sent on any node with room.
func (p *play) place() {
	var open []*played
	for _, r := range p.sent {
		if r.left > 0 {
			open = append(open, r)
		}
	}
	if len(open) == 0 {
		return
	}
	r := rapid.SampledFrom(open).Draw(p.t, "whose")
	j := p.jobs[r.job]
	var with []int
	for i, n := range p.nodes {
		if j.holds(n, n.free()) > 0 {
			with = append(with, i)
		}
	}
	if len(with) == 0 {
		p.t.Fatalf("%s was sent, and there is no room for %d of its workers", r.id, r.left)
	}
	i := rapid.SampledFrom(with).Draw(p.t, "where")
	before := p.nodes[i]
	p.nodes[i].ours = less(before.ours, less(run.Resources{}, j.need))
	for _, first := range r.passed {
		if was, is := first.holds(before, before.free()), first.holds(before, p.nodes[i].free()); is < was {
			p.t.Fatalf("%s took a place from one that comes first: %d became %d", r.id, was, is)
		}
	}
	r.left, r.at = r.left-1, append(r.at, i)
}

// end ends a run whose workers are all placed.
func (p *play) end() {
	i := slices.IndexFunc(p.sent, func(r *played) bool { return r.left == 0 })
	if i < 0 {
		return
	}
	for _, at := range p.sent[i].at {
		p.nodes[at].ours = less(p.nodes[at].ours, p.jobs[p.sent[i].job].need)
	}
	p.sent = slices.Delete(p.sent, i, i+1)
}

// drain ends everything in turn: whoever can ever start has started then.
func (p *play) drain() {
	for range 10 * (len(p.waiting) + len(p.sent) + 1) {
		p.round()
		for slices.ContainsFunc(p.sent, func(r *played) bool { return r.left > 0 }) {
			p.place()
		}
		p.end()
	}
	for _, r := range p.waiting {
		if fit := p.jobs[r.job].fit(p.nodes); fit.Now {
			p.t.Fatalf("%s never started, though it fits", r.id)
		}
	}
}

func TestAdmissionOfManyRunsCostsLittle(t *testing.T) {
	t.Parallel()
	var nodes []node
	for i := range 500 {
		nodes = append(nodes, node{id: fmt.Sprint(i), model: "A100", has: run.Resources{GPUs: 8, CPU: 1000, Memory: 1000}})
	}
	var waiting []queue.Waiting
	fit := job{workers: 1, need: run.Resources{GPUs: 1, CPU: 1, Memory: 1}}.fit(nodes)
	for i := range 5000 {
		waiting = append(waiting, queue.Waiting{Run: queue.Ref{ID: run.ID(fmt.Sprint(i))}, Fit: fit})
	}
	sent := 0
	for _, d := range queue.Admit(waiting, nil) {
		if d.Send {
			sent++
		} else if !strings.Contains(d.Reason, "waits") {
			t.Fatal(d)
		}
	}
	if sent != 4000 {
		t.Errorf("sent %d of 4000 places", sent)
	}
}
