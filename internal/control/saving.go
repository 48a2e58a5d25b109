package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

const (
	maxSeq       = 1<<63 - 1
	recentEvents = 200
	// likeRuns is how many of the newest runs of a project are looked through for one like a submission.
	likeRuns = 20
	// limitWait bounds the wait for what nodes say of themselves, and limitNodes how many are asked.
	limitWait  = 500 * time.Millisecond
	limitNodes = 64
)

// saving compares how long a run took to save of late with the time that its workers have for it, on the nodes of its newest attempt.
func (c *Control) saving(ctx context.Context, id run.ID) (run.Saving, error) {
	out := run.Saving{KillTimeout: c.o.KillTimeout}
	evs, err := c.o.Store.EventsBefore(ctx, id, maxSeq, recentEvents)
	if err != nil {
		return out, err
	}
	if out.Took = run.SaveTime(evs); out.Took == 0 {
		return out, nil // there is nothing to compare
	}
	workers, err := c.o.Store.Workers(ctx, id)
	if err != nil {
		return out, err
	}
	var nodes []string
	for _, w := range workers {
		if w.NodeID != "" && !slices.Contains(nodes, w.NodeID) {
			nodes = append(nodes, w.NodeID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limitWait)
	defer cancel()
	limit, node := c.o.Cluster.KillLimit(ctx, nodes[:min(len(nodes), limitNodes)])
	if limit > 0 && (out.KillTimeout == 0 || limit < out.KillTimeout) {
		out.KillTimeout, out.Node = limit, node
	}
	return out, nil
}

// savesInTime warns of submissions whose workers may be killed before they have saved: the run that they were made from, or else the
// newest of the project with that model and shape, took longer. Each such run is looked at once.
func (c *Control) savesInTime(ctx context.Context) func(run.Submission, trainconf.Config) *run.FieldError {
	type question struct {
		project, preset, model string
		clone                  run.ID
		nodes, gpus            int
	}
	known := map[question]*run.FieldError{}
	return func(s run.Submission, conf trainconf.Config) *run.FieldError {
		if conf.Effective("ckpt.path") == "" || s.Shape.Nodes < 1 {
			return nil
		}
		q := question{cmp.Or(s.Project, access.DefaultProject), s.Preset, conf.Effective("name_model"), s.Origin.Clone, s.Shape.Nodes, s.Shape.GPUs}
		if _, ok := known[q]; !ok {
			known[q] = c.slowSaving(ctx, q.project, s, q.model)
		}
		return known[q]
	}
}

// slowSaving is the warning of the run that is like a submission; none where it cannot be read.
func (c *Control) slowSaving(ctx context.Context, project string, s run.Submission, model string) *run.FieldError {
	var like []run.Run
	if s.Origin.Clone != "" {
		if r, err := c.o.Store.Run(ctx, s.Origin.Clone); err == nil {
			like = append(like, r)
		}
	}
	newest, err := c.o.Store.Runs(ctx, run.RunFilter{Projects: run.InProjects(project), Model: s.Preset, Limit: likeRuns})
	if err != nil {
		c.o.Logger.DebugContext(ctx, "look for runs like a submission", "err", err)
	}
	for _, r := range newest {
		if r.Shape.Nodes == s.Shape.Nodes && r.Shape.GPUs == s.Shape.GPUs {
			like = append(like, r)
		}
	}
	for _, r := range like {
		conf, err := trainconf.Parse([]byte(r.Config))
		if err != nil || r.Project != project || r.StartedAt.IsZero() || conf.Effective("name_model") != model {
			continue
		}
		saving, err := c.saving(ctx, r.ID)
		if err == nil && saving.Took > 0 {
			return saving.TooShortFor(r.Name)
		}
	}
	return nil
}
