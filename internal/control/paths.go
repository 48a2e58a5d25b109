package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// pathCheck checks a configuration's folders and datasets for a shape.
type pathCheck func(trainconf.Config, run.Shape) (errs, warns run.FieldErrors)

// paths checks each set of paths once: the runs of a sweep mostly share theirs.
func (c *Control) paths(ctx context.Context) pathCheck {
	if c.o.Storage == nil {
		return func(trainconf.Config, run.Shape) (errs, warns run.FieldErrors) { return nil, nil }
	}
	type verdict struct{ errs, warns run.FieldErrors }
	type question struct {
		folder      string
		named       string
		nodes, gpus int // the readers of ckpt.resume
		diloco      bool
	}
	known, fields := map[question]verdict{}, append(trainconf.PathFields(), "data.fake")
	return func(conf trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors) {
		q := question{folder: shape.Folder}
		if conf.Effective("ckpt.resume") != "" {
			q.nodes, q.gpus, q.diloco = shape.Nodes, shape.GPUs, conf.DiLoCo()
		}
		for _, field := range fields {
			q.named += conf.Effective(field) + "\x00"
		}
		v, ok := known[q]
		if !ok {
			v.errs, v.warns = c.o.Storage.CheckPaths(ctx, conf, shape)
			known[q] = v
		}
		return v.errs, v.warns
	}
}

// Check returns what judges of submissions what trainconf cannot: whether their project allows them, and their paths in the
// project's storage. What cannot be read has been told by whoever read it.
func (c *Control) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	check := c.paths(ctx)
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		errs = c.assign(&s)
		if req, err := trainconf.RequestOf(s); err == nil {
			lost, odd := check(req.EffectiveConfig(), s.Shape)
			errs, warns = append(errs, lost...), odd
		}
		return errs, warns
	}
}
