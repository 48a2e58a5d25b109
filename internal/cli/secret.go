package cli

import (
	"cmp"
	"context"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

type secretListCmd struct {
	Remote  `embed:""`
	Project string `placeholder:"NAME" help:"Only those that runs of this project may use."`
}

// Run lists secrets.
func (c *secretListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Secrets(ctx, c.Project)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "BECOMES", "WHERE", "PROJECTS", "NOTE")
	for _, s := range list.Items {
		t.row(s.Name, cmp.Or(s.Env, "*"), s.Ref().String(), cmp.Or(strings.Join(s.Projects, ", "), "all"), short(cmp.Or(s.Note, "-"), 60))
	}
	return t.flush()
}

type secretRegisterCmd struct {
	Remote  `embed:""`
	Name    string   `arg:"" help:"Name, which cannot be changed, such as HF_TOKEN."`
	In      string   `enum:"vault,nomad" default:"nomad" help:"Where the value is: vault or nomad (a variable in the namespace of the run)."`
	Path    string   `required:"" placeholder:"PATH" help:"Path there, such as cotrain/hub; in Vault with the mount, such as secret/cotrain/shared/hub."`
	Field   *string  `placeholder:"NAME" help:"Field with the value; NAME of the secret if left out. Empty: each field becomes a variable of its own name."`
	Env     *string  `placeholder:"NAME" help:"Environment variable of the trainer; NAME of the secret if left out."`
	Note    string   `placeholder:"TEXT" help:"What it is for."`
	Allowed []string `name:"project" sep:"," placeholder:"NAME" help:"Project that may use it; all if left out. Repeat it for more."`
	Change  bool     `help:"Change a secret that is registered: all of it but its name."`
}

// Run registers the secret, or changes it.
func (c *secretRegisterCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	in := client.SecretInput{Note: c.Note, In: run.SecretSource(c.In), Path: c.Path, Field: c.Name, Env: c.Name, Projects: c.Allowed}
	if c.Field != nil {
		in.Field = *c.Field
	}
	if in.Field == "" {
		in.Env = ""
	}
	if c.Env != nil {
		in.Env = *c.Env
	}
	if c.Change {
		if _, err := cl.ChangeSecret(ctx, c.Name, in); err != nil {
			return err
		}
		return p.did(c.Remote, "changed", c.Name)
	}
	if _, err := cl.RegisterSecret(ctx, client.NewSecret{Name: c.Name, SecretInput: in}); err != nil {
		return err
	}
	return p.did(c.Remote, "registered", c.Name)
}

type secretSetCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the secret."`
	File   string `default:"-" placeholder:"FILE" help:"File with the value; - reads the standard input. A line end after it is left out."`
}

// maxSecretValue bounds a value in bytes, above what the console takes.
const maxSecretValue = 64 << 10

// Run stores the value.
func (c *secretSetCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	data, err := p.readText("--file "+c.File, c.File, maxSecretValue, "check that it is the value")
	if err != nil {
		return err
	}
	stored, err := cl.SetSecret(ctx, c.Name, strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"))
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(stored)
	}
	return p.print("%s  stored in %s\n", p.text(c.Name), p.text(strings.Join(stored.Namespaces, ", ")))
}

type secretRemoveCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the secret."`
	Yes    bool   `help:"Really remove it: runs that ask for it wait from their next attempt on."`
}

// Run removes the secret.
func (c *secretRemoveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("runs that ask for it would wait from their next attempt on", "add --yes")
	}
	if err := cl.RemoveSecret(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "removed", c.Name)
}
