package apitest

import (
	"cmp"
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// locked calls fn with the lock, unless the console fails.
func (c *Console) locked(fn func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	return fn()
}

// templateKey is unique for a template of a project, "" for the default one.
func templateKey(project, name string) string {
	return cmp.Or(project, access.DefaultProject) + "/" + strings.ToLower(name)
}

// Templates is for [api.Templates].
func (c *Console) Templates(_ context.Context, in run.Projects) (out []run.Template, err error) {
	err = c.locked(func() error {
		for _, versions := range c.templates {
			if t := versions[len(versions)-1]; in.Include(t.Project) {
				out = append(out, t)
			}
		}
		slices.SortFunc(out, func(a, b run.Template) int {
			return strings.Compare(strings.ToLower(a.Name)+"/"+a.Project, strings.ToLower(b.Name)+"/"+b.Project)
		})
		return nil
	})
	return out, err
}

// Template is for [api.Templates].
func (c *Console) Template(_ context.Context, project, name string, version int) (t run.Template, err error) {
	err = c.locked(func() error {
		versions := c.templates[templateKey(project, name)]
		if version == 0 {
			version = len(versions)
		}
		if version < 1 || version > len(versions) {
			return run.NoTemplate(name, version)
		}
		t = versions[version-1]
		return nil
	})
	return t, err
}

// TemplateVersions is for [api.Templates].
func (c *Console) TemplateVersions(_ context.Context, project, name string) (out []run.Template, err error) {
	err = c.locked(func() error {
		if out = slices.Clone(c.templates[templateKey(project, name)]); len(out) == 0 {
			return run.NoTemplate(name, 0)
		}
		slices.Reverse(out)
		return nil
	})
	return out, err
}

// BeforeSave makes the next save of a template wait for fn, which may save one itself.
func (c *Console) BeforeSave(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beforeSave = fn
}

// SaveTemplate is for [api.Templates].
func (c *Console) SaveTemplate(ctx context.Context, t run.Template, follows int) (stored run.Template, err error) {
	c.mu.Lock()
	before := c.beforeSave
	c.beforeSave = nil
	c.mu.Unlock()
	if before != nil {
		before()
	}
	err = c.locked(func() error {
		if f := run.CheckTemplateName(t.Name); f != nil {
			return run.FieldErrors{*f}
		}
		req, err := trainconf.RequestOfTemplate(t)
		if err != nil {
			return err
		}
		if errs, _ := req.CheckUnnamed(); len(errs) > 0 {
			return errs
		}
		t.Project = cmp.Or(t.Project, access.DefaultProject)
		key := templateKey(t.Project, t.Name)
		versions := c.templates[key]
		next := len(versions) + 1
		if follows != run.AnyVersion && follows != next-1 {
			return &run.OutdatedError{Template: t.Name, Expected: follows, Newest: next - 1}
		}
		if next > 1 {
			newest := versions[next-2]
			if newest.Config == t.Config && newest.Shape == t.Shape && newest.Description == t.Description && reflect.DeepEqual(newest.Options, t.Options) {
				stored = newest
				return nil
			}
			t.Name = newest.Name
		}
		t.Version, t.Actor, t.CreatedAt = next, access.From(ctx).Name, c.clock
		c.templates[key] = append(versions, t)
		stored = t
		return nil
	})
	return stored, err
}

// DeleteTemplate is for [api.Templates].
func (c *Console) DeleteTemplate(_ context.Context, project, name string) error {
	return c.locked(func() error {
		key := templateKey(project, name)
		if len(c.templates[key]) == 0 {
			return run.NoTemplate(name, 0)
		}
		delete(c.templates, key)
		return nil
	})
}
