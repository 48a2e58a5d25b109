package store_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// fillings are the ways in which something gets into a project, by the table that is written.
var fillings = map[string]func(r *race) error{
	"runs": func(r *race) error {
		of := newRun("r-0000000011")
		of.Project = "vision"
		_, _, err := r.CreateRun(context.Background(), of, "")
		return err
	},
	"sweeps": func(r *race) error {
		_, _, err := r.CreateSweep(context.Background(), run.Sweep{ID: "s-0000000011", Project: "vision"}, "", nil, nil)
		return err
	},
	"templates": func(r *race) error {
		_, err := r.SaveTemplate(context.Background(), run.Template{Project: "vision", Name: "t"}, 0)
		return err
	},
}

func (r *race) deleteProject() *call {
	return start(func() error { return r.DeleteProject(context.Background(), "vision") })
}

func TestAProjectStaysForWhatIsBeingPutIntoIt(t *testing.T) {
	for table, fill := range fillings {
		t.Run(table, func(t *testing.T) {
			r := begin(t)
			if err := r.CreateProject(t.Context(), access.Project{Name: "vision"}); err != nil {
				t.Fatal(err)
			}
			release := r.hold(blocks(table))
			filling := start(func() error { return fill(r) })
			r.waiting(1)
			deleting := r.deleteProject()
			r.blockedOrDone(deleting, 1)
			release()
			r.end(filling)
			if err := r.errors(deleting)[0]; !errors.Is(err, fault.ErrInUse) {
				t.Errorf("deleting gave %v", err)
			}
			if n := r.ask(`SELECT count(*) FROM ` + table + ` JOIN projects ON project = projects.name`); n != 1 {
				t.Errorf("%d %s of a project that is there", n, table)
			}
		})
	}
}

func TestNothingIsPutIntoAProjectThatIsBeingDeleted(t *testing.T) {
	for table, fill := range fillings {
		t.Run(table, func(t *testing.T) {
			r := begin(t)
			if err := r.CreateProject(t.Context(), access.Project{Name: "vision"}); err != nil {
				t.Fatal(err)
			}
			release := r.hold(blocks("members"))
			deleting := r.deleteProject()
			r.waiting(1)
			filling := start(func() error { return fill(r) })
			r.blockedOrDone(filling, 1)
			release()
			r.end(deleting)
			if err := r.errors(filling)[0]; !errors.Is(err, fault.ErrNoProject) {
				t.Errorf("it gave %v", err)
			}
			if n := r.ask(`SELECT count(*) FROM ` + table + ` WHERE project = 'vision'`); n != 0 {
				t.Errorf("%d %s of a project that is gone", n, table)
			}
		})
	}
}
