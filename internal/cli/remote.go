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
	Addr      string `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	Format    string `enum:"table,json" default:"table" help:"table or json."`
	PlainHTTP bool   `name:"plain-http" help:"Send the API token over plain HTTP, where everybody on the way can read it, instead of COTRAIN_PLAIN_HTTP_TOKEN=true."`
}

// connect returns a client of the console that flag, environment or default name.
func (r Remote) connect(p *process) (*client.Client, error) {
	cl, err := r.dial(p)
	if err != nil {
		return nil, err
	}
	return cl, r.authorize(p, cl)
}

// dial is connect without a token.
func (r Remote) dial(p *process) (*client.Client, error) {
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

// authorize has the client send the API token of the environment, or that of "cotrain login", if there is one.
func (r Remote) authorize(p *process, cl *client.Client) error {
	token, err := p.token()
	if err == nil && token == "" {
		var kept credentials
		kept, err = p.readCredentials()
		token = kept.known[cl.Address()].Token
	}
	if err != nil || token == "" {
		return err
	}
	cl.SetToken(token)
	return r.mayShowToken(p, cl)
}

// mayShowToken is an error where others could read the token.
func (r Remote) mayShowToken(p *process, cl *client.Client) error {
	if allowed, _ := p.environ("COTRAIN_PLAIN_HTTP_TOKEN"); !cl.Private() && !r.PlainHTTP && allowed != "true" {
		return fault.Usage("the API token would go over plain HTTP, where everybody on the way can read it", "use the console's https:// address, or add --plain-http if the network is yours alone")
	}
	return nil
}

// token is the API token that COTRAIN_TOKEN is or COTRAIN_TOKEN_FILE holds, "" for none.
func (p *process) token() (string, error) {
	token, _ := p.environ("COTRAIN_TOKEN")
	file, _ := p.environ("COTRAIN_TOKEN_FILE")
	switch {
	case token != "" && file != "":
		return "", fault.Usage("COTRAIN_TOKEN and COTRAIN_TOKEN_FILE are both set", "set one")
	case file != "":
		content, err := p.readFile(file)
		if err != nil {
			return "", fault.Usage(fmt.Sprintf("COTRAIN_TOKEN_FILE: %v", err), "name a file that holds an API token")
		}
		token = string(content)
	}
	token = strings.TrimSpace(token)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.Usage("the API token has characters that none has", "check COTRAIN_TOKEN or COTRAIN_TOKEN_FILE")
	}
	return token, nil
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
