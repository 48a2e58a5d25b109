package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// pathCheck checks a configuration's folders and datasets for a shape.
type pathCheck func(trainconf.Config, run.Shape) (errs, warns run.FieldErrors)

// pathFields are the fields checked against shared storage.
var pathFields = [...]string{"data.fake", "data.dataset_name_or_paths", "data.val_dataset_name_or_paths", "ckpt.path", "ckpt.resume"}

// paths checks each set of paths once: the runs of a sweep mostly share theirs.
func (c *Control) paths(ctx context.Context) pathCheck {
	if c.o.Storage == nil {
		return nil
	}
	type verdict struct{ errs, warns run.FieldErrors }
	type question struct {
		named       [len(pathFields)]string
		nodes, gpus int // the readers of ckpt.resume
		diloco      bool
	}
	known := map[question]verdict{}
	return func(conf trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors) {
		q := question{}
		if conf.Effective("ckpt.resume") != "" {
			q.nodes, q.gpus, q.diloco = shape.Nodes, shape.GPUs, conf.DiLoCo()
		}
		for i, field := range pathFields {
			q.named[i] = conf.Effective(field)
		}
		v, ok := known[q]
		if !ok {
			v.errs, v.warns = c.o.Storage.CheckPaths(ctx, conf, shape)
			known[q] = v
		}
		return v.errs, v.warns
	}
}
