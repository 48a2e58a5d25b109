package control_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

func mine() run.Template {
	return run.Template{Name: "mine", Config: saving, Shape: run.Shape{Nodes: 2}, Options: run.Options{Tags: []string{"b", "a"}}}
}

func TestTemplatesHaveVersions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, err := r.control.SaveTemplate(t.Context(), "me", mine(), run.AnyVersion)
	if err != nil || first.Version != 1 || first.Actor != "me" || first.CreatedAt.IsZero() || first.Config != saving {
		t.Fatalf("first is %+v, %v", first, err)
	}
	same := mine()
	same.Name, same.Options.Tags, same.Note = "MINE", []string{"a", "b"}, "nothing new"
	again, err := r.control.SaveTemplate(t.Context(), "somebody", same, run.AnyVersion)
	if err != nil || again.Version != 1 || again.Name != "mine" || again.Actor != "me" {
		t.Errorf("the same again is %+v, %v", again, err)
	}
	next := mine()
	next.Shape.Nodes = 3
	second, err := r.control.SaveTemplate(t.Context(), "me", next, run.AnyVersion)
	if err != nil || second.Version != 2 {
		t.Errorf("second is %+v, %v", second, err)
	}
	list, err := r.control.Templates(t.Context(), run.AllProjects())
	if err != nil || len(list) != 1 || list[0].Version != 2 {
		t.Errorf("list is %+v, %v", list, err)
	}
	if got, err := r.control.Template(t.Context(), "default", "mine", 1); err != nil || got.Shape.Nodes != 2 {
		t.Errorf("version 1 is %+v, %v", got, err)
	}
	if all, err := r.control.TemplateVersions(t.Context(), "default", "mine"); err != nil || len(all) != 2 || all[0].Version != 2 {
		t.Errorf("versions are %+v, %v", all, err)
	}
	s := submission()
	s.Origin.Template = second.Ref()
	made, err := r.control.Submit(t.Context(), "me", s)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.control.DeleteTemplate(t.Context(), "me", "default", "Mine"); err != nil {
		t.Fatal(err)
	}
	if got, err := r.store.Run(t.Context(), made.ID); err != nil || got.Origin.Template != "mine@2" || got.Config != made.Config {
		t.Errorf("a run made from it is %+v, %v", got, err)
	}
	for what, err := range map[string]error{"delete": r.control.DeleteTemplate(t.Context(), "me", "default", "mine"), "read": errorOf(r.control.Template(t.Context(), "default", "mine", 0))} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s after it is gone: %v", what, err)
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

func TestTemplatesAreChecked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	preset := trainconf.Presets()[0].Name
	for _, tc := range []struct {
		name   string
		change func(*run.Template)
		field  string
		rule   string
	}{
		{"the name of a preset", func(t *run.Template) { t.Name = strings.ToUpper(preset) }, "template", "built-in preset " + preset},
		{"no name", func(t *run.Template) { t.Name = "" }, "template", "1 to 63"},
		{"a name that is a path", func(t *run.Template) { t.Name = "../x" }, "template", "1 to 63"},
		{"a configuration that is wrong", func(t *run.Template) { t.Config = strings.Replace(saving, "micro_bs = 8", "micro_bs = 7", 1) }, "optim.batch_size", ""},
		{"a configuration that is none", func(t *run.Template) { t.Config = "[[[" }, "config", ""},
		{"a configuration that is too large", func(t *run.Template) { t.Config += "# " + strings.Repeat("x", 17000) }, "config", "at most 16384"},
		{"a shape that is wrong", func(t *run.Template) { t.Shape.Nodes = 0 }, "nodes", ""},
		{"options that are wrong", func(t *run.Template) { t.Options.Retries = -1 }, "retries", ""},
		{"a note of several lines", func(t *run.Template) { t.Note = "a\nb" }, "note", "control characters"},
		{"a note that turns the direction of text", func(t *run.Template) { t.Note = "a\u202eb" }, "note", "direction of text"},
		{"a description that turns the direction of text", func(t *run.Template) { t.Description = "a\u2066b" }, "description", "direction of text"},
		{"a long description", func(t *run.Template) { t.Description = strings.Repeat("x", 5000) }, "description", "at most"},
	} {
		tpl := mine()
		tc.change(&tpl)
		_, err := r.control.SaveTemplate(t.Context(), "me", tpl, run.AnyVersion)
		var fes run.FieldErrors
		if !errors.As(err, &fes) {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		found := false
		for _, fe := range fes {
			found = found || strings.HasPrefix(fe.Field, tc.field) && strings.Contains(fe.Rule, tc.rule) && fe.Fix != ""
		}
		if !found {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if list, err := r.control.Templates(t.Context(), run.AllProjects()); err != nil || len(list) != 0 {
		t.Errorf("stored all the same: %v, %v", list, err)
	}
	warned := mine()
	warned.Config = strings.Replace(saving, "warmup_steps = 2", "warmup_steps = 900", 1)
	if _, err := r.control.SaveTemplate(t.Context(), "me", warned, run.AnyVersion); err != nil {
		t.Errorf("a warning stops it: %v", err)
	}
}

func TestTemplatesSavedAtOnceEachGetAVersion(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			tpl := mine()
			tpl.Description = fmt.Sprint(i / 2) // two of each
			if _, err := r.control.SaveTemplate(t.Context(), "me", tpl, run.AnyVersion); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, err := r.control.TemplateVersions(t.Context(), "default", "mine")
	if err != nil || len(all) < 8 || len(all) > 16 {
		t.Fatalf("%d versions, %v", len(all), err)
	}
	for i, v := range all {
		if v.Version != len(all)-i {
			t.Errorf("version %d stands in place %d of %d", v.Version, i, len(all))
		}
		if i > 0 && v.Description == all[i-1].Description {
			t.Errorf("versions %d and %d say the same", v.Version, all[i-1].Version)
		}
	}
}
