package control

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// assign gives a submission what its project sets, and reports what its project does not allow.
func (c *Control) assign(s *run.Submission) run.FieldErrors {
	project := cmp.Or(s.Project, access.DefaultProject)
	var set access.Settings
	if c.o.Projects != nil {
		set = c.o.Projects.Settings(project)
	}
	var errs run.FieldErrors
	for _, f := range []struct {
		field string
		value *string
		set   string
	}{{"namespace", &s.Shape.Namespace, set.Namespace}, {"node_pool", &s.Shape.NodePool, set.NodePool}, {"folder", &s.Shape.Folder, set.Folder}} {
		if *f.value != "" && *f.value != f.set {
			fix := "leave it out"
			if f.set != "" {
				fix += ": it is " + f.set
			}
			errs = append(errs, run.FieldError{Field: f.field, Value: *f.value, Rule: "is set by the project " + project, Fix: fix})
		}
		*f.value = f.set
	}
	s.Options.Assigned = nil
	if longest := set.Limits.MaxDuration; s.Options.MaxDuration == 0 && longest > 0 {
		s.Options.MaxDuration, s.Options.Assigned = longest, append(s.Options.Assigned, "max_duration")
	}
	if top := set.Limits.Priority; s.Options.Priority == 0 && top > 0 && top < run.DefaultPriority {
		s.Options.Priority, s.Options.Assigned = top, append(s.Options.Assigned, "priority")
	}
	return append(errs, beyond(project, *s, set.Limits)...)
}

// beyond reports what a submission asks for beyond the limits of its project.
func beyond(project string, s run.Submission, l access.Limits) run.FieldErrors {
	var errs run.FieldErrors
	more := func(field, value, limit, fix string) {
		errs = append(errs, run.FieldError{Field: field, Value: value, Rule: fmt.Sprintf("is too much: %s allows at most %s for a run", project, limit), Fix: fix})
	}
	number := func(field string, value, limit int, what string) {
		if limit > 0 && value > limit {
			more(field, strconv.Itoa(value), what, fmt.Sprintf("use at most %d", limit))
		}
	}
	number("nodes", s.Shape.Nodes, l.Workers, counted(l.Workers, "node"))
	// Beyond the form's own bounds it says so already, and the product might not be a number any more.
	if n := s.Shape.TotalGPUs(); l.GPUs > 0 && n > l.GPUs && s.Shape.Nodes <= trainconf.MaxNodes && s.Shape.GPUs <= trainconf.MaxGPUs {
		fix := fmt.Sprintf("use fewer nodes: %d with 1 GPU each, for example", l.GPUs)
		if each := l.GPUs / s.Shape.Nodes; each > 0 {
			fix = fmt.Sprintf("use at most %d on each of %d nodes", each, s.Shape.Nodes)
		}
		more("gpus", fmt.Sprintf("%d x %d", s.Shape.Nodes, s.Shape.GPUs), counted(l.GPUs, "GPU"), fix)
	}
	number("priority", cmp.Or(s.Options.Priority, run.DefaultPriority), l.Priority, fmt.Sprintf("priority %d", l.Priority))
	if l.MaxDuration > 0 && s.Options.MaxDuration > l.MaxDuration {
		limit := trainconf.FormatDuration(l.MaxDuration)
		more("max_duration", trainconf.FormatDuration(s.Options.MaxDuration), limit, "use at most "+limit)
	}
	return errs
}

// counted is "1 node", "2 nodes".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
