package localnomad

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"text/template"

	"github.com/hashicorp/nomad/api"
)

// What a template's change does to its task.
const (
	changeNoop    = "noop"
	changeRestart = "restart"
	changeSignal  = "signal"
)

// maxRendered bounds a rendered template in bytes.
const maxRendered = 8 << 20

// templateSet keeps a task's templates rendered: once before the task starts
// and again whenever what they looked up has changed.
type templateSet struct {
	t     *taskRunner
	items []*taskTemplate
	done  chan struct{}
	wg    sync.WaitGroup
	once  sync.Once
}

type taskTemplate struct {
	spec *api.Template
	tmpl *template.Template
	path string // empty: only the environment
	mode os.FileMode
	text string // as last written
	live bool   // it looks something up that may change
	vars *lookups
}

// lookups is what the functions of one rendering see, and what they missed.
type lookups struct {
	s       *Server
	env     *taskEnv
	live    bool
	missing []string
}

// startTemplates renders a task's templates and watches what they depend on.
// A template that needs a variable that is not there waits for it.
func (t *taskRunner) startTemplates() (*templateSet, error) {
	if len(t.task.Templates) == 0 {
		return nil, nil
	}
	ts := &templateSet{t: t, done: make(chan struct{})}
	for _, spec := range t.task.Templates {
		item, err := t.newTemplate(spec)
		if err != nil {
			return nil, err
		}
		ts.items = append(ts.items, item)
	}
	wakes, err := ts.firstRender()
	if err != nil {
		return nil, err
	}
	for _, item := range ts.items {
		if item.live {
			ts.wg.Go(func() { ts.watch(wakes) })
			break
		}
	}
	return ts, nil
}

// close ends the watching. A nil set has nothing to end.
func (ts *templateSet) close() {
	if ts == nil {
		return
	}
	ts.once.Do(func() { close(ts.done) })
	ts.wg.Wait()
}

func (t *taskRunner) newTemplate(spec *api.Template) (*taskTemplate, error) {
	item := &taskTemplate{spec: spec, mode: 0o644, vars: &lookups{s: t.s, env: t.env}}
	if p := deref(spec.Perms); p != "" {
		mode, err := strconv.ParseUint(p, 8, 12)
		if err != nil {
			return nil, fmt.Errorf("template perms %q: %w", p, err)
		}
		item.mode = os.FileMode(mode)
	}
	text := deref(spec.EmbeddedTmpl)
	if src := deref(spec.SourcePath); src != "" {
		path, err := t.templatePath(src)
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("template source: %w", err)
		}
		text = string(data)
	}
	if dest := deref(spec.DestPath); dest != "" {
		path, err := t.templatePath(dest)
		if err != nil {
			return nil, err
		}
		item.path = path
	}
	tmpl := template.New("").Delims(deref(spec.LeftDelim), deref(spec.RightDelim)).Funcs(item.vars.funcs())
	if deref(spec.ErrMissingKey) {
		tmpl = tmpl.Option("missingkey=error")
	}
	var err error
	if item.tmpl, err = tmpl.Parse(text); err != nil {
		return nil, fmt.Errorf("(dynamic): parse: %w", err)
	}
	return item, nil
}

// templatePath resolves a path as Nomad does: relative to the task's
// directory, ${NOMAD_*_DIR} understood, never outside the allocation.
func (t *taskRunner) templatePath(path string) (string, error) {
	path = t.env.replace(path)
	if rel, ok := strings.CutPrefix(path, t.r.dir.root+"/"); ok {
		return within(t.r.dir.root, rel)
	}
	joined, err := within(t.r.dir.root, t.task.Name+"/"+path)
	if err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	return joined, nil
}

// tableWakes close when services and variables change.
type tableWakes [2]<-chan struct{}

// firstRender renders everything, waiting for variables that are missing. It
// returns what closes at the first change after the rendering.
func (ts *templateSet) firstRender() (tableWakes, error) {
	said := ""
	for {
		wakes := ts.wakes()
		var missing []string
		for _, item := range ts.items {
			if _, err := ts.render(item); err != nil {
				return wakes, err
			}
			missing = append(missing, item.vars.missing...)
		}
		if len(missing) == 0 {
			return wakes, nil
		}
		if text := "Missing: " + strings.Join(missing, ", "); text != said {
			said = text
			ts.t.event(ts.t.s.newTaskEvent(eventTemplate, text, nil))
			ts.t.r.report()
		}
		select {
		case <-wakes[0]:
		case <-wakes[1]:
		case <-ts.t.ctx.Done():
			return wakes, errors.New("killed while waiting for templates")
		}
	}
}

// wakes must be asked for before rendering, or a change in between is missed.
func (ts *templateSet) wakes() tableWakes {
	var w tableWakes
	ts.t.s.st.view(func() {
		w[0] = ts.t.s.st.tables[tableServices].wake
		w[1] = ts.t.s.st.tables[tableVars].wake
	})
	return w
}

// render executes a template and writes the result when it is new. With a
// variable missing it writes nothing.
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
	if text == item.text && item.path == "" || text == item.text && fileExists(item.path) {
		return false, nil
	}
	if item.path != "" {
		if err := writeFile(item.path, []byte(text), item.mode); err != nil {
			return false, fmt.Errorf("write template: %w", err)
		}
	}
	item.text = text
	if deref(item.spec.Envvars) {
		more, err := parseEnvFile(item.path, text)
		if err != nil {
			return false, err
		}
		ts.t.env.add(more)
	}
	return true, nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// limitedBuffer refuses to grow without bound.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxRendered {
		return 0, fmt.Errorf("template renders more than %d bytes", maxRendered)
	}
	return b.Buffer.Write(p)
}

// watch renders again on every change until the task has ended.
func (ts *templateSet) watch(wakes tableWakes) {
	for {
		select {
		case <-wakes[0]:
		case <-wakes[1]:
		case <-ts.done:
			return
		}
		wakes = ts.wakes()
		for _, item := range ts.items {
			if !item.live || deref(item.spec.Once) {
				continue
			}
			changed, err := ts.render(item)
			if err != nil {
				ts.t.s.log.Error("render template", "alloc", ts.t.r.alloc.ID, "error", err)
				continue
			}
			if changed {
				ts.onChange(item)
			}
		}
	}
}

func (ts *templateSet) onChange(item *taskTemplate) {
	switch deref(item.spec.ChangeMode) {
	case changeSignal:
		name := deref(item.spec.ChangeSignal)
		if err := ts.t.signal(name, "Template re-rendered"); err != nil {
			ts.t.s.log.Error("signal task", "alloc", ts.t.r.alloc.ID, "signal", name, "error", err)
		}
	case changeRestart, "":
		if err := ts.t.requestRestart("Template with change_mode restart re-rendered"); err != nil {
			ts.t.s.log.Debug("restart task", "alloc", ts.t.r.alloc.ID, "error", err)
		}
	}
}
