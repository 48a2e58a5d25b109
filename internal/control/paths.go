package control

import (
	"context"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// paths judges the folders and datasets that a configuration names.
type paths func(trainconf.Config) (errs, warns run.FieldErrors)

// pathFields are the fields that shared storage is asked about.
var pathFields = [...]string{"data.fake", "data.dataset_name_or_paths", "data.val_dataset_name_or_paths", "ckpt.path", "ckpt.resume"}

// paths looks at shared storage once for each set of paths: the runs of a sweep mostly name the same.
func (c *Control) paths(ctx context.Context) paths {
	if c.o.Storage == nil {
		return nil
	}
	type verdict struct{ errs, warns run.FieldErrors }
	known := map[[len(pathFields)]string]verdict{}
	return func(conf trainconf.Config) (errs, warns run.FieldErrors) {
		var named [len(pathFields)]string
		for i, field := range pathFields {
			named[i] = conf.Effective(field)
		}
		v, ok := known[named]
		if !ok {
			v.errs, v.warns = c.o.Storage.CheckPaths(ctx, conf)
			known[named] = v
		}
		return v.errs, v.warns
	}
}
