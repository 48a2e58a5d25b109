package control

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// surroundings are what a submission is judged by that is not in it.
type surroundings struct {
	paths   pathCheck // nil for whatever they are
	secrets func() ([]run.Secret, error)
}

func (c *Control) around(ctx context.Context) surroundings {
	return surroundings{c.paths(ctx), c.registered(ctx)}
}

// registered reads the registered secrets once.
func (c *Control) registered(ctx context.Context) func() ([]run.Secret, error) {
	return sync.OnceValues(func() ([]run.Secret, error) { return c.o.Store.Secrets(ctx) })
}

// resolve finds what a submission's secrets stand for, and whether its workers need Vault. What cannot be a name is trainconf's to tell.
func (in surroundings) resolve(s *run.Submission) (refs []run.SecretRef, errs run.FieldErrors, err error) {
	s.Shape.Vault = false
	if len(s.Options.Secrets) == 0 || slices.ContainsFunc(s.Options.Secrets, func(name string) bool { return !run.CheckSecretName(name) }) {
		return nil, nil, nil
	}
	all, err := in.secrets()
	if err != nil {
		return nil, nil, err
	}
	refs, errs = s.Options.Secrets.Resolve(cmp.Or(s.Project, access.DefaultProject), s.Options.Env, all)
	s.Shape.Vault = run.NeedVault(refs)
	return refs, errs, nil
}

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

// mirrors checks that there is shared storage for a log that is to be written there.
func (c *Control) mirrors(o run.Options) run.FieldErrors {
	if o.MirrorLogs != run.MirrorOn || c.o.Storage != nil {
		return nil
	}
	return run.FieldErrors{{Field: "mirror_logs", Value: o.MirrorLogs, Rule: "needs shared storage that the console reaches, and there is none", Fix: "set storage.path (COTRAIN_STORAGE_PATH), or leave it out"}}
}

// Check returns what judges of submissions what trainconf cannot: whether their project allows them, and their paths in the
// project's storage. What cannot be read has been told by whoever read it.
func (c *Control) Check(ctx context.Context) func(run.Submission) (errs, warns run.FieldErrors) {
	in, saves, shares := c.around(ctx), c.savesInTime(ctx), c.sharesFolder(ctx)
	return func(s run.Submission) (errs, warns run.FieldErrors) {
		errs = append(c.assign(&s), c.mirrors(s.Options)...)
		if _, bad, err := in.resolve(&s); err == nil {
			errs = append(errs, bad...)
		}
		if req, err := trainconf.RequestOf(s); err == nil {
			conf := req.EffectiveConfig()
			lost, odd := in.paths(conf, s.Shape)
			errs, warns = append(errs, lost...), odd
			if short := saves(s, conf); short != nil {
				warns = append(warns[:len(warns):len(warns)], *short)
			}
			if shared := shares(s, conf, warns); shared != nil {
				warns = append(warns[:len(warns):len(warns)], *shared)
			}
		}
		return errs, warns
	}
}
