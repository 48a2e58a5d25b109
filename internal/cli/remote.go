package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

// Remote is the flags of every command that talks to the console; [process.run] binds the client that its Run takes.
type Remote struct {
	Addr   string `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	Format string `enum:"table,json" default:"table" help:"table or json."`
}

// connect returns a client of the console that flag, environment or default name.
func (r Remote) connect(p *process) (*client.Client, error) {
	addr, source := r.Addr, "--addr"
	if addr == "" {
		addr, _ = p.environ("COTRAIN_ADDR")
		source = "COTRAIN_ADDR"
	}
	cl, err := client.New(cmp.Or(strings.TrimSpace(addr), client.DefaultAddr))
	if err != nil {
		return nil, fault.Usage(fmt.Sprintf("%s = %v", source, err), "use "+client.DefaultAddr+", for example")
	}
	return cl, nil
}

// InProject is the flag of commands about what a project owns.
type InProject struct {
	Project *string `placeholder:"NAME" help:"Project, instead of COTRAIN_PROJECT."`
}

// project is the project that flag or environment name, "" for none.
func (i InProject) project(p *process) string {
	if i.Project != nil {
		return strings.TrimSpace(*i.Project)
	}
	name, _ := p.environ("COTRAIN_PROJECT")
	return strings.TrimSpace(name)
}

// ofProjects is the flag of commands that list what projects own.
func (i InProject) ofProjects(p *process) client.ProjectsQuery {
	if name := i.project(p); name != "" {
		return client.ProjectsQuery{Project: []string{name}}
	}
	return client.ProjectsQuery{}
}

// projects reports whether items are of more than one project, which a list then shows.
func projects[T any](items []T, of func(T) string) bool {
	return slices.ContainsFunc(items, func(item T) bool { return of(item) != of(items[0]) })
}

// listPage is how many items of a list one request asks for.
const listPage = 500

// pages reads a list page by page until there are limit items or no more, and returns where the next page begins.
func pages[T any, C ~string](limit int, read func(from C, n int) ([]T, C, error)) (items []T, next C, err error) {
	items = []T{}
	for more := true; more && len(items) < limit; more = next != "" {
		page, from, err := read(next, min(listPage, limit-len(items)))
		if err != nil {
			return items, next, err
		}
		items, next = append(items, page...), from
	}
	return items, next, nil
}
