package storage

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// The fields with lists of datasets.
const datasets, validation = "data.dataset_name_or_paths", "data.val_dataset_name_or_paths"

// checkTimeout keeps a hanging storage from holding up a form.
const checkTimeout = 2 * time.Second

// CheckPaths checks the paths of a configuration that lie in shared storage, in the part that the shape's folder says. Errors mean
// that a run of that shape would fail for them, or work in another part; warnings that it may fail. Hub names, addresses, absolute
// paths elsewhere, synthetic data and links that lead out are ignored, and everything if the storage does not answer in time.
func (s *Storage) CheckPaths(ctx context.Context, c trainconf.Config, shape run.Shape) (errs, warns run.FieldErrors) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found, err := await(ctx, s.In(shape.Folder), func(ctx context.Context, s *Storage) (*checks, error) {
		k := &checks{s: s, ctx: ctx, by: workersOf(shape, c.DiLoCo())}
		k.elsewhere(c)
		k.datasets(c)
		k.resume(c)
		k.checkpoints(c)
		return k, ctx.Err()
	}, nil)
	if errors.As(err, new(noFolder)) {
		return run.FieldErrors{fieldError("folder", shape.Folder, "is the project's folder in shared storage, and does not exist", makeIt)}, nil
	}
	if err != nil {
		s.log.Debug("paths of a configuration were not checked", "err", err)
		return nil, nil
	}
	return found.errs, found.warns
}

type checks struct {
	s           *Storage
	ctx         context.Context
	by          workers
	errs, warns run.FieldErrors
}

func fieldError(field, value, rule, fix string) run.FieldError {
	return run.FieldError{Field: field, Value: fault.Clip(Display(value), 190), Rule: rule, Fix: fix}
}

// elsewhere refuses what is in another part of shared storage: of a project, or nobody's. It warns of a place of the node's own where the
// project has a folder, which the console does not keep it to there.
func (k *checks) elsewhere(c trainconf.Config) {
	fake := c.Effective("data.fake") == "true"
	for _, field := range trainconf.PathFields() {
		dataset := field == datasets || field == validation
		if dataset && fake {
			continue
		}
		for item := range strings.SplitSeq(c.Effective(field), ",") {
			item = strings.TrimSpace(item)
			paths := pathsOf(strings.ReplaceAll(item, trainconf.RunPlaceholder, "run"))
			rule, fix := "", ""
			for i := 0; i < len(paths) && rule == ""; i++ {
				rule, fix = k.forbidden(paths[i], dataset && ofHub(item))
			}
			switch {
			case rule != "":
				k.errs = append(k.errs, fieldError(field, item, rule, fix))
			case k.s.folder != "" && slices.ContainsFunc(paths, k.ofNode):
				k.warns = append(k.warns, fieldError(field, item, "is a folder of the node, outside of shared storage, which the console does not see", "use a relative path: it begins in the project's folder"))
			}
		}
	}
}

// forbidden says why a path may not be used, "" if it may. Of what may be a dataset on the hub it does not tell whether it is there.
func (k *checks) forbidden(named string, hub bool) (rule, fix string) {
	p, ok := k.s.at(k.s.folder, named)
	switch {
	case !ok:
		return "", ""
	case k.s.hides(p) && hub:
		return "begins with the folder of a project, which only its runs may use", "use a path outside of it, to which a dataset of that name on the hub can be copied"
	case k.s.hides(p):
		return "is in the folder of a project, which only its runs may use", "use a path outside of it"
	case k.s.folder != "" && !below(p, k.s.folder):
		return "is outside of the project's folder " + k.s.folder, "use a relative path: it begins in that folder"
	}
	return "", ""
}

// ofNode reports whether a path is a place of the node's own.
func (k *checks) ofNode(named string) bool {
	_, ok := k.s.at(k.s.folder, named)
	return !ok && path.IsAbs(named)
}

// datasets warns of missing datasets. A node may still have more than the storage.
func (k *checks) datasets(c trainconf.Config) {
	if c.Effective("data.fake") == "true" {
		return
	}
	for _, field := range []string{datasets, validation} {
		for item := range strings.SplitSeq(c.Effective(field), ",") {
			if k.ctx.Err() != nil {
				return
			}
			if item = strings.TrimSpace(item); item != "" {
				k.dataset(field, item)
			}
		}
	}
}

func (k *checks) dataset(field, item string) {
	p, ok := k.s.inside(item)
	if !ok || ofHub(item) {
		if meant := k.misspelt(item); meant != "" {
			k.warns = append(k.warns, fieldError(field, item, "is not a folder of shared storage, so the core will look for a dataset of that name on the hub",
				"use "+meant+" if that was meant"))
		}
		return
	}
	info, err := k.s.stat(p)
	switch {
	case missing(err):
		k.warns = append(k.warns, fieldError(field, item, "is not in shared storage", k.near(p, item)))
	case err != nil: // ignore what cannot be seen
	case info.IsDir() && k.s.empty(p):
		k.warns = append(k.warns, fieldError(field, item, "is an empty folder in shared storage", "put the dataset there, or name another"))
	case !info.IsDir() && !info.Mode().IsRegular():
		k.warns = append(k.warns, fieldError(field, item, "is neither a file nor a folder in shared storage", "name a file or a folder"))
	}
}

// ofHub reports whether a dataset is a hub's, such as "allenai/c4", rather than a path.
func ofHub(item string) bool {
	first, _, _ := strings.Cut(item, "/")
	_, known := purposes()[first]
	return first != "" && !known && first != "." && first != ".."
}

// misspelt suggests a name if its first part is nearly the datasets' folder.
func (k *checks) misspelt(item string) string {
	first, rest, ok := strings.Cut(item, "/")
	if !ok || first == "datasets" || distance(strings.ToLower(first), "datasets") > 2 {
		return ""
	}
	if _, err := k.s.stat("datasets/" + rest); err != nil {
		return ""
	}
	return "datasets/" + rest
}

// near suggests the nearest name in a missing dataset's folder or those for datasets.
func (k *checks) near(p, item string) string {
	want := strings.ToLower(path.Base(p))
	best, bestScore := "", max(2, len(want)/3)+1
	var some []string
	for _, full := range k.candidates(path.Dir(p)) {
		near := distance(want, strings.ToLower(path.Base(full)))
		if near >= bestScore && len(some) == 4 || !k.trainable(full) {
			continue
		}
		if near < bestScore {
			best, bestScore = full, near
		}
		if len(some) < 4 {
			some = append(some, full)
		}
	}
	place := "put it at " + Display(k.s.path+"/"+p)
	switch {
	case best != "":
		return "use " + k.s.asGiven(best, item) + ", or " + place
	case len(some) > 0:
		for i := range some {
			some[i] = k.s.asGiven(some[i], item)
		}
		return "use one that is there, such as " + strings.Join(some, ", ") + ", or " + place
	}
	return place
}

// candidates lists names in a folder and in those for datasets.
func (k *checks) candidates(dir string) []string {
	var out []string
	for i, in := range []string{dir, "datasets", "datasets/raw", "datasets/processed", "datasets/splits"} {
		if i > 0 && in == dir {
			continue
		}
		names := k.s.names(in, k.s.limits.suggest)
		slices.SortFunc(names, natural)
		for _, name := range names {
			full := join(in, name)
			if !isLayout(full) && !strings.HasPrefix(name, ".") && plain(name) {
				out = append(out, full)
			}
		}
	}
	return out
}

// trainable reports whether a path is a file or non-empty folder, through links.
func (k *checks) trainable(p string) bool {
	info, err := k.s.stat(p)
	return err == nil && (info.Mode().IsRegular() || info.IsDir() && !k.s.empty(p))
}

// resume checks that a checkpoint is complete for every worker; see [Storage.CheckpointProblem].
func (k *checks) resume(c trainconf.Config) {
	const field = "ckpt.resume"
	given, set := c.Get(field)
	if !set || strings.Contains(given, trainconf.RunPlaceholder) {
		return
	}
	p, ok := k.s.inside(given)
	if !ok {
		if name := path.Clean(given); (name == ".." || strings.HasPrefix(name, "../")) && !slices.ContainsFunc(k.errs, func(e run.FieldError) bool { return e.Field == field }) {
			k.errs = append(k.errs, fieldError(field, given, "leads out of shared storage, in which relative paths begin",
				"name a folder such as models/checkpoints/my-run/step_100, or the whole path of one that every worker sees"))
		}
		return
	}
	rule, err := k.s.anyProblem(k.ctx, p, k.by)
	if err != nil { // ignore what cannot be seen
		return
	}
	if rule == "" {
		if odd := k.s.tooFew(k.ctx, p, k.by); odd != "" {
			k.warns = append(k.warns, fieldError(field, given, odd, "ask for as many GPUs per worker as the run that saved it, unless the trainer is not the core"))
		}
		return
	}
	fix := "name a folder such as " + path.Dir(given) + "/step_100, or remove it to start from the beginning"
	if found := k.newest(p); found != "" {
		fix = "use " + k.s.asGiven(found, given) + ", which is complete"
	}
	k.errs = append(k.errs, fieldError(field, given, rule, fix))
}

// newest suggests a checkpoint instead of p: the newest in a folder of checkpoints; or the same step as worker 0 of a
// DiLoCo run saved it; or the newest complete one beside it.
func (k *checks) newest(p string) string {
	for _, dir := range []string{p, join(p, leadFolder)} {
		if found := k.newestStep(dir); found != "" {
			return found
		}
	}
	dir := path.Dir(p)
	if dir == root {
		return ""
	}
	if same := join(join(dir, leadFolder), path.Base(p)); k.complete(same) {
		return same
	}
	if found := k.newestStep(dir); found != "" {
		return found
	}
	return k.newestStep(join(dir, leadFolder))
}

// newestStep is a folder's newest complete checkpoint, or "". It checks only a few.
func (k *checks) newestStep(dir string) string {
	steps := k.s.steps(dir)
	for i := len(steps) - 1; i >= max(0, len(steps)-20); i-- {
		if p := join(dir, "step_"+strconv.FormatInt(steps[i], 10)); k.complete(p) {
			return p
		}
	}
	return ""
}

// complete reports whether the run could resume from the folder.
func (k *checks) complete(p string) bool {
	lack, err := k.s.anyProblem(k.ctx, p, k.by)
	return lack == "" && err == nil
}

// checkpoints warns of a folder with another run's checkpoints, which would mix with the new ones.
func (k *checks) checkpoints(c trainconf.Config) {
	const field = "ckpt.path"
	given, set := c.Get(field)
	if !set || strings.Contains(given, trainconf.RunPlaceholder) {
		return
	}
	p, ok := k.s.inside(given)
	if !ok {
		return
	}
	steps := k.s.steps(p)
	if len(steps) == 0 {
		steps = k.s.steps(join(p, leadFolder))
	}
	if len(steps) == 0 {
		return
	}
	rule := fmt.Sprintf("already holds checkpoints (step_%d is the newest), which this run would mix with its own", steps[len(steps)-1])
	if resume, set := c.Get("ckpt.resume"); set {
		if from, ok := k.s.inside(resume); ok && (path.Dir(from) == p || path.Dir(from) == join(p, leadFolder)) {
			rule += ": a retry of the run that it resumes from would continue from those"
		}
	}
	k.warns = append(k.warns, fieldError(field, given, rule,
		"use "+path.Dir(strings.TrimRight(given, "/"))+"/"+trainconf.RunPlaceholder+", which is another folder for each run"))
}

// Below maps a configuration's path, as seen by a trainer of a project with that folder ("" for none), to one below the root of
// shared storage; false if it is elsewhere or no path.
func (s *Storage) Below(folder, given string) (string, bool) {
	for _, p := range pathsOf(given) {
		if at, ok := s.at(folder, p); ok {
			return at, true
		}
	}
	return "", false
}

// at is Below of one path.
func (s *Storage) at(folder, given string) (string, bool) {
	if given != "" && !path.IsAbs(given) && !strings.HasPrefix(given, "~") && !strings.Contains(given, "://") {
		given = path.Join(s.whole.mount, folder, given)
	}
	return s.whole.inside(given)
}

// pathsOf are the paths of a trainer's machine that a configuration's value may name: those in the links of a chain of fsspec, such as
// simplecache::/mnt/a or zip://a::file:///mnt/b, from the last on, and itself.
func pathsOf(given string) []string {
	var out []string
	if links := strings.Split(given, "::"); len(links) > 1 {
		for _, link := range slices.Backward(links) {
			if strings.Trim(link, "abcdefghijklmnopqrstuvwxyz") != "" { // else it is a protocol to fsspec
				out = append(out, local(link))
			}
		}
	}
	return append(out, local(given))
}

// local is the path of an address of a file of the trainer's machine, as in file:///mnt.
func local(given string) string {
	for _, scheme := range []string{"file://", "file:", "local://", "local:"} {
		if p, ok := strings.CutPrefix(given, scheme); ok {
			return p
		}
	}
	return given
}

// Touches reports whether a configuration's path, of a run of a project with that folder, is at, around or below a path here.
func (s *Storage) Touches(here, folder, given string) bool {
	at := path.Join(s.folder, strings.Trim(here, "/"))
	return slices.ContainsFunc(pathsOf(given), func(named string) bool {
		p, ok := s.at(folder, named)
		return ok && (at == "" || below(p, at) || below(at, p))
	})
}

// inside maps a configuration's path, as seen by a trainer, into this part; false if it is elsewhere or no path.
func (s *Storage) inside(given string) (string, bool) {
	if given == "" || strings.Contains(given, "://") || strings.Contains(given, trainconf.RunPlaceholder) || strings.HasPrefix(given, "~") {
		return "", false
	}
	absolute := given
	if !path.IsAbs(given) {
		absolute = path.Join(s.mount, given)
	}
	rel, ok := strings.CutPrefix(path.Clean(absolute), strings.TrimSuffix(path.Clean(s.mount), "/")+"/")
	if !ok {
		return "", false
	}
	p, err := clean(rel)
	return p, err == nil
}

// asGiven writes a path in the style of another: absolute or relative.
func (s *Storage) asGiven(p, like string) string {
	if path.IsAbs(like) {
		return path.Join(s.mount, p)
	}
	return p
}
