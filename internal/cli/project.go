package cli

import (
	"cmp"
	"context"
	"strconv"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

type projectListCmd struct {
	Remote `embed:""`
}

// Run lists projects.
func (c *projectListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Projects(ctx)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "DESCRIPTION", "CREATED")
	for _, x := range list.Items {
		t.row(x.Name, short(cmp.Or(x.Description, "-"), 60), p.ago(x.CreatedAt))
	}
	return t.flush()
}

// projectSettings are the flags for what a project sets; what is left out stays, or is not set.
type projectSettings struct {
	Description *string `placeholder:"TEXT" help:"What it is for."`
	Namespace   *string `placeholder:"NAME" help:"Nomad namespace of its jobs; empty for the console's."`
	NodePool    *string `placeholder:"NAME" help:"Nomad node pool of its workers; empty for the console's."`
	Folder      *string `placeholder:"PATH" help:"Its folder in shared storage, which other projects do not see; empty for none."`
	MaxWorkers  *int    `placeholder:"N" help:"Most workers of a run; 0 for no limit."`
	MaxGPUs     *int    `name:"max-gpus" placeholder:"N" help:"Most GPUs of a run, over all its workers; 0 for no limit."`
	MaxPriority *int    `placeholder:"N" help:"Highest priority of a run; 0 for no limit."`
	MaxDuration *string `placeholder:"TIME" help:"Longest time limit of a run, such as 12h, and that of runs that set none; 0s for no limit."`

	LogRetention *string `placeholder:"TIME" help:"How long logs are kept after a run's end, such as 90d; 0s for as long as the console keeps them."`
	MaxLogSize   *string `placeholder:"SIZE" help:"Most that its logs may take, such as 50GB; 0 for no limit but the console's."`
}

// logs are the limits before with what the flags say.
func (c projectSettings) logs(l access.LogLimits) (access.LogLimits, error) {
	if c.LogRetention != nil {
		seconds, ok := trainconf.ParseDuration(*c.LogRetention)
		if !ok {
			return l, fault.Usage("--log-retention "+fault.Quote(*c.LogRetention)+" is no time", "write it like 90d or 0s")
		}
		l.Retention = seconds
	}
	if c.MaxLogSize != nil {
		n, ok := run.ParseSize(*c.MaxLogSize)
		if !ok && *c.MaxLogSize != "0" {
			return l, fault.Usage("--max-log-size "+fault.Quote(*c.MaxLogSize)+" is no size of 1MB or more", "write it like 500MB, 1.5TB or 0")
		}
		l.MaxBytes = n
	}
	return l, nil
}

func (c projectSettings) limited() bool {
	return c.MaxWorkers != nil || c.MaxGPUs != nil || c.MaxPriority != nil || c.MaxDuration != nil
}

// limits are those before with what the flags say.
func (c projectSettings) limits(l access.Limits) (access.Limits, error) {
	for field, value := range map[*int]*int{&l.Workers: c.MaxWorkers, &l.GPUs: c.MaxGPUs, &l.Priority: c.MaxPriority} {
		if value != nil {
			*field = *value
		}
	}
	if c.MaxDuration != nil {
		seconds, ok := trainconf.ParseDuration(*c.MaxDuration)
		if !ok {
			return l, fault.Usage("--max-duration "+fault.Quote(*c.MaxDuration)+" is no time", "write it like 12h, 1d12h or 0s")
		}
		l.MaxDuration = seconds
	}
	return l, nil
}

type projectCreateCmd struct {
	Remote          `embed:""`
	projectSettings `embed:""`
	Name            string `arg:"" help:"Name, which cannot be changed: lower-case letters, digits and dashes."`
}

// Run makes the project.
func (c *projectCreateCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	limits, err := c.limits(access.Limits{})
	if err != nil {
		return err
	}
	logs, err := c.logs(access.LogLimits{})
	if err != nil {
		return err
	}
	in := client.ProjectInput{Name: c.Name, Limits: limits, Logs: logs}
	for field, value := range map[*string]*string{&in.Description: c.Description, &in.Namespace: c.Namespace, &in.NodePool: c.NodePool, &in.Folder: c.Folder} {
		if value != nil {
			*field = *value
		}
	}
	if _, err := cl.CreateProject(ctx, in); err != nil {
		return err
	}
	return p.did(c.Remote, "created", c.Name)
}

type projectShowCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
}

// Run shows a project and its settings.
func (c *projectShowCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	x, err := cl.Project(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(x)
	}
	t, l := p.table(), x.Settings.Limits
	t.pairs("Project", x.Name, "Description", x.Description, "Namespace", x.Settings.Namespace, "Node pool", x.Settings.NodePool, "Folder", cmp.Or(x.Settings.Folder, "none"))
	if l == (access.Limits{}) {
		t.row("Limits", "none")
	}
	for _, n := range []struct {
		name  string
		value int64
		text  string
	}{
		{"Most workers", int64(l.Workers), strconv.Itoa(l.Workers)}, {"Most GPUs", int64(l.GPUs), strconv.Itoa(l.GPUs)},
		{"Highest priority", int64(l.Priority), strconv.Itoa(l.Priority)}, {"Longest run", l.MaxDuration, trainconf.FormatDuration(l.MaxDuration)},
		{"Logs kept for", x.Settings.Logs.Retention, trainconf.FormatDuration(x.Settings.Logs.Retention)}, {"Most of logs", x.Settings.Logs.MaxBytes, run.FormatSize(x.Settings.Logs.MaxBytes)},
	} {
		if n.value > 0 {
			t.row(n.name, n.text)
		}
	}
	return t.flush()
}

type projectChangeCmd struct {
	Remote          `embed:""`
	projectSettings `embed:""`
	Name            string `arg:"" help:"Name of the project."`
}

// Run changes the project.
func (c *projectChangeCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	in := client.ProjectChange{Description: c.Description, Namespace: c.Namespace, NodePool: c.NodePool, Folder: c.Folder}
	if c.limited() {
		before, err := cl.Project(ctx, c.Name)
		if err != nil {
			return err
		}
		limits, err := c.limits(before.Settings.Limits)
		if err != nil {
			return err
		}
		in.Limits = &limits
	}
	if c.LogRetention != nil || c.MaxLogSize != nil {
		before, err := cl.Project(ctx, c.Name)
		if err != nil {
			return err
		}
		logs, err := c.logs(before.Settings.Logs)
		if err != nil {
			return err
		}
		in.Logs = &logs
	}
	if in == (client.ProjectChange{}) {
		return fault.Usage("there is nothing to change", "add --description, for example")
	}
	before, err := cl.Project(ctx, c.Name)
	if err != nil {
		return err
	}
	after, err := cl.ChangeProject(ctx, c.Name, in)
	switch {
	case err != nil:
		return err
	case after == before:
		return p.did(c.Remote, "unchanged", c.Name)
	}
	return p.did(c.Remote, "changed", c.Name)
}

type projectDeleteCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	Yes    bool   `help:"Really delete it, with its memberships and the tokens for it alone."`
}

// Run deletes the project.
func (c *projectDeleteCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if !c.Yes {
		return fault.Usage("a deleted project cannot be restored", "add --yes")
	}
	if err := cl.DeleteProject(ctx, c.Name); err != nil {
		return err
	}
	return p.did(c.Remote, "deleted", c.Name)
}

type projectMembersCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
}

// Run lists the members.
func (c *projectMembersCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	list, err := cl.Members(ctx, c.Name)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(list)
	}
	t := p.table("NAME", "KIND", "ROLE")
	for _, m := range list.Items {
		t.row(m.Name, string(m.Kind), string(m.Effective()))
	}
	return t.flush()
}

type projectGrantCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	User   string `arg:"" help:"Login name."`
	Role   string `arg:"" enum:"viewer,operator,admin" help:"viewer, operator or admin."`
}

// Run gives the role.
func (c *projectGrantCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.SetMember(ctx, c.Name, c.User, access.Role(c.Role)); err != nil {
		return err
	}
	return p.did(c.Remote, "granted", c.User)
}

type projectRemoveCmd struct {
	Remote `embed:""`
	Name   string `arg:"" help:"Name of the project."`
	User   string `arg:"" help:"Login name."`
}

// Run takes the role away.
func (c *projectRemoveCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if err := cl.RemoveMember(ctx, c.Name, c.User); err != nil {
		return err
	}
	return p.did(c.Remote, "removed", c.User)
}
