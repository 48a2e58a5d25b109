package task

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/hashicorp/go-envparse"
	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// maxRendered bounds a rendered template in bytes.
const maxRendered = 8 << 20

// templateSet keeps a task's templates rendered: once before the task starts and again whenever what they looked up has
// changed.
type templateSet struct {
	t     *taskRunner
	items []*taskTemplate
	done  chan struct{}
	wg    sync.WaitGroup
}

type taskTemplate struct {
	spec *api.Template
	tmpl *template.Template
	path string
	mode os.FileMode
	text string // as last written
	live bool   // it looks something up that may change
	vars *lookups
}

// lookups is what the functions of one rendering see, and what they missed.
type lookups struct {
	store   *state.Store
	region  string
	env     *environment
	live    bool
	missing []string
}

// startTemplates renders a task's templates and watches what they depend on. A template that needs a variable that is not
// there waits for it.
func (t *taskRunner) startTemplates() (*templateSet, error) {
	ts := &templateSet{t: t, done: make(chan struct{})}
	for _, spec := range t.task.Templates {
		item, err := t.newTemplate(spec)
		if err != nil {
			return nil, err
		}
		ts.items = append(ts.items, item)
	}
	for said := ""; ; {
		services, vars := ts.changed()
		var missing []string
		live := false
		for _, item := range ts.items {
			if _, err := ts.render(item); err != nil {
				return nil, err
			}
			missing = append(missing, item.vars.missing...)
			live = live || item.live
		}
		if len(missing) == 0 {
			if live {
				ts.wg.Go(func() { ts.watch(services, vars) })
			}
			return ts, nil
		}
		if text := "Missing: " + strings.Join(missing, ", "); text != said {
			said = text
			t.event(t.r.newEvent("Template", text, nil))
			t.r.report()
		}
		select {
		case <-services:
		case <-vars:
		case <-t.ctx.Done():
			return nil, errors.New("killed while waiting for templates")
		}
	}
}

// changed must be asked for before rendering, or a change in between is missed.
func (ts *templateSet) changed() (services, vars <-chan struct{}) {
	ts.t.r.rs.Store.View(func(t *state.Tables) { services, vars = t.Changed(state.Services), t.Changed(state.Vars) })
	return services, vars
}

// watch renders again on every change until the task has ended.
func (ts *templateSet) watch(services, vars <-chan struct{}) {
	for {
		select {
		case <-services:
		case <-vars:
		case <-ts.done:
			return
		}
		services, vars = ts.changed()
		for _, item := range ts.items {
			if !item.live || state.Deref(item.spec.Once) {
				continue
			}
			changed, err := ts.render(item)
			if changed && state.Deref(item.spec.ChangeMode) == "restart" {
				err = ts.t.requestRestart("Template with change_mode restart re-rendered")
			}
			if err != nil && !errors.Is(err, ErrNotRunning) {
				ts.t.r.rs.Log.Error("template changed", "alloc", ts.t.r.alloc.ID, "template", item.path, "error", err)
			}
		}
	}
}

// close ends the watching. A nil set has nothing to end.
func (ts *templateSet) close() {
	if ts != nil {
		close(ts.done)
		ts.wg.Wait()
	}
}

func (t *taskRunner) newTemplate(spec *api.Template) (*taskTemplate, error) {
	item := &taskTemplate{spec: spec, mode: 0o644, vars: &lookups{store: t.r.rs.Store, region: t.r.rs.Region, env: t.env}}
	if p := state.Deref(spec.Perms); p != "" {
		mode, err := strconv.ParseUint(p, 8, 12)
		if err != nil {
			return nil, fmt.Errorf("template perms %q: %w", p, err)
		}
		item.mode = os.FileMode(mode)
	}
	var err error
	if item.path, err = t.templatePath(state.Deref(spec.DestPath)); err != nil {
		return nil, err
	}
	tmpl := template.New("").Delims(state.Deref(spec.LeftDelim), state.Deref(spec.RightDelim)).Funcs(item.vars.funcs())
	if item.tmpl, err = tmpl.Parse(state.Deref(spec.EmbeddedTmpl)); err != nil {
		return nil, fmt.Errorf("(dynamic): parse: %w", err)
	}
	return item, nil
}

// templatePath resolves a path as Nomad does: relative to the task's
// directory, ${NOMAD_*_DIR} understood, never outside the allocation.
func (t *taskRunner) templatePath(path string) (string, error) {
	path = t.env.replace(path)
	root := string(t.r.dir)
	if rel, ok := strings.CutPrefix(path, root+"/"); ok {
		return within(root, rel)
	}
	joined, err := within(root, t.task.Name+"/"+path)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	return joined, nil
}

// render executes a template and writes the result when it is new. With a variable missing it writes nothing.
func (ts *templateSet) render(item *taskTemplate) (changed bool, err error) {
	item.vars.live, item.vars.missing = false, nil
	var out limitedBuffer
	if err := item.tmpl.Execute(&out, nil); err != nil {
		return false, fmt.Errorf("(dynamic): execute: %w", err)
	}
	item.live = item.live || item.vars.live
	if len(item.vars.missing) > 0 {
		return false, nil
	}
	text := out.String()
	if _, err := os.Stat(item.path); err == nil && text == item.text {
		return false, nil
	}
	if err := writeFile(item.path, []byte(text), item.mode); err != nil {
		return false, fmt.Errorf("write template: %w", err)
	}
	item.text = text
	if state.Deref(item.spec.Envvars) {
		more, err := envparse.Parse(&out.Buffer)
		if err != nil {
			return false, envError{fmt.Errorf("error parsing env template %q: %w", item.path, err)}
		}
		ts.t.env.add(more)
	}
	return true, nil
}

// limitedBuffer refuses to grow without bound.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, fmt.Errorf("template renders more than %d bytes", maxRendered)
	}
	return b.Buffer.Write(p)
}
