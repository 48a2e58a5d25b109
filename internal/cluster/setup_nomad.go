package cluster

import (
	"context"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/nomad"
	files "github.com/cotrain/cotrain/nomad"
)

// spaces are the namespaces of runs.
func (o Options) spaces() []string { return with([]string{o.Namespace}, o.Namespaces...) }

// of is the name of a policy in a namespace.
func (o Options) of(name, namespace string) string {
	if namespace == o.Namespace {
		return name
	}
	return name + "-" + namespace
}

// consolePolicies are those of the console's token.
func (o Options) consolePolicies() []string {
	var names []string
	for _, space := range o.spaces() {
		names = append(names, o.of(consoleName, space))
	}
	if o.StorageVolume != "" {
		names = append(names, storageName)
	}
	return with(names)
}

func (s *setup) inNomad() ([]thing, error) {
	var out []thing
	spaces := s.o.spaces()
	if s.o.ServiceJob {
		spaces = append(spaces, s.o.ConsoleSpace)
	}
	for _, name := range spaces {
		out = append(out, thing{"nomad", "namespace", name, func(ctx context.Context) (string, bool, error) {
			there, err := s.nomad.HasNamespace(ctx, name)
			return "", there, err
		}, text(""), func(ctx context.Context) error { return s.nomad.CreateNamespace(ctx, name, "Runs of CoTrain") }})
	}
	if pool := s.o.NodePool; pool != "" {
		out = append(out, thing{"nomad", "node pool", pool, func(ctx context.Context) (string, bool, error) {
			there, err := s.nomad.HasNodePool(ctx, pool)
			return "", there, err
		}, text(""), func(ctx context.Context) error {
			return s.nomad.CreateNodePool(ctx, pool, "GPU nodes for training")
		}})
	}
	for _, space := range s.o.spaces() {
		values, file := files.Values{"namespace": space}, "policies/project.hcl"
		if space == s.o.Namespace {
			file = "policies/console.hcl"
		}
		console, err := files.Fill(file, values)
		if err != nil {
			return nil, err
		}
		runs, err := files.Fill("policies/runs.hcl", values)
		if err != nil {
			return nil, err
		}
		place := strconv.Quote(space)
		out = append(out,
			s.stays(s.consolePolicy(nomad.Policy{Name: s.o.of(consoleName, space), Description: "CoTrain's console in the namespace " + space, Rules: console}), "namespace ", place, "NOMAD_NAMESPACE"),
			s.stays(s.policy(nomad.Policy{Name: s.o.of(runsName, space), Description: "Runs of CoTrain read their secrets in the namespace " + space, Rules: runs, Namespace: space}), "namespace ", place, "NOMAD_NAMESPACE"))
	}
	if volume := s.o.StorageVolume; volume != "" {
		rules, err := files.Fill("policies/storage.hcl", files.Values{"storage_volume": volume})
		if err != nil {
			return nil, err
		}
		out = append(out, s.consolePolicy(nomad.Policy{Name: storageName, Description: "CoTrain's console uses shared storage", Rules: rules}))
	}
	return append(out, s.role()), nil
}

// consolePolicy is a policy of the console's token, and of its job where it is one.
func (s *setup) consolePolicy(p nomad.Policy) thing {
	if s.o.ServiceJob {
		p.Namespace, p.Job = s.o.ConsoleSpace, "cotrain"
		return s.policy(p)
	}
	t := s.policy(p)
	// One that is attached to the console's job stays so.
	read, write := t.read, t.write
	keep := false
	t.read = func(ctx context.Context) (string, bool, error) {
		is, there, err := read(ctx)
		is, keep = strings.CutSuffix(is, attached(s.o.ConsoleSpace, "cotrain"))
		return is, there, err
	}
	t.write = func(ctx context.Context) error {
		if !keep {
			return write(ctx)
		}
		p.Namespace, p.Job = s.o.ConsoleSpace, "cotrain"
		return s.nomad.PutPolicy(ctx, p)
	}
	return t
}

// attached says of what workloads a policy is.
func attached(namespace, job string) string {
	if namespace == "" {
		return ""
	}
	if job == "" {
		job = "every job"
	}
	return "\nfor " + job + " of the namespace " + namespace
}

func (s *setup) policy(p nomad.Policy) thing {
	return thing{"nomad", "policy", p.Name, func(ctx context.Context) (string, bool, error) {
		is, there, err := s.nomad.Policy(ctx, p.Name)
		return is.Rules + attached(is.Namespace, is.Job), there, err
	}, text(p.Rules + attached(p.Namespace, p.Job)), func(ctx context.Context) error { return s.nomad.PutPolicy(ctx, p) }}
}

// role is the role of the console's token. Policies that it has stay: those of namespaces that were set up before.
func (s *setup) role() thing {
	policies := s.o.consolePolicies()
	return thing{"nomad", "role", consoleName, func(ctx context.Context) (string, bool, error) {
		is, there, err := s.nomad.Role(ctx, consoleName)
		policies = with(policies, is...)
		return strings.Join(with(is), "\n"), there, err
	}, func() string { return strings.Join(policies, "\n") }, func(ctx context.Context) error {
		return s.nomad.PutRole(ctx, consoleName, "CoTrain's console", policies)
	}}
}
