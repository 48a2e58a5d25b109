package guard

import (
	"context"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
)

// Secrets manages the secrets that runs may ask for.
type Secrets interface {
	Secrets(ctx context.Context) ([]run.Secret, error)
	SecretUses(ctx context.Context, name string) (run.SecretUses, error)
	RegisterSecret(ctx context.Context, s run.Secret) (run.Secret, error)
	ChangeSecret(ctx context.Context, s run.Secret) (run.Secret, error)
	RemoveSecret(ctx context.Context, name string) error
	// CheckValue reports why the console cannot store a value of a secret, before anything is done.
	CheckValue(ctx context.Context, name, value string) error
	SetSecret(ctx context.Context, name, value string) (namespaces []string, err error)
}

// What the audit log calls what is done to secrets.
const (
	actionRegisterSecret = "secret.register"
	actionChangeSecret   = "secret.change"
	actionRemoveSecret   = "secret.remove"
	actionSetSecret      = "secret.set"
)

// Registry is the registered secrets as who asks may see and change them.
type Registry struct{ g *Guard }

// Registry returns the registered secrets.
func (g *Guard) Registry() Registry { return Registry{g} }

// Secrets returns those that runs of a project may use, or of any that who asks may submit to; an administrator sees all. Of the
// projects that may use one, others see those of their own.
func (x Registry) Secrets(ctx context.Context, project string) ([]run.Secret, error) {
	if err := x.g.anywhere(ctx, access.SecretsRead); err != nil {
		return nil, err
	}
	all, err := x.g.o.Control.Secrets(ctx)
	if err != nil {
		return nil, err
	}
	who := access.From(ctx)
	hidden := func(p string) bool { return !who.May(access.SecretsRead, p) }
	var mine []string
	for _, p := range x.g.o.Projects(ctx) {
		if !hidden(p) && (project == "" || p == project) {
			mine = append(mine, p)
		}
	}
	out := make([]run.Secret, 0, len(all))
	for _, s := range all {
		if who.May(access.SecretsManage, "") && project == "" || slices.ContainsFunc(mine, s.UsableBy) {
			s.Projects = slices.DeleteFunc(s.Projects, hidden)
			out = append(out, s)
		}
	}
	return out, nil
}

// Secret returns one as an administrator registered it, and what asks for it.
func (x Registry) Secret(ctx context.Context, name string) (s run.Secret, uses run.SecretUses, err error) {
	if err := x.g.anywhere(ctx, access.SecretsManage); err != nil {
		return s, uses, err
	}
	all, err := x.g.o.Control.Secrets(ctx)
	if err != nil {
		return s, uses, err
	}
	i := slices.IndexFunc(all, func(s run.Secret) bool { return s.Name == name })
	if i < 0 {
		return s, uses, run.NoSecret(name)
	}
	uses, err = x.g.o.Control.SecretUses(ctx, name)
	return all[i], uses, err
}

// Register registers a secret; what is wrong with it is [run.FieldErrors].
func (x Registry) Register(ctx context.Context, s run.Secret) (made run.Secret, err error) {
	err = x.change(ctx, actionRegisterSecret, s.Name, func(ctx context.Context) (err error) {
		made, err = x.g.o.Control.RegisterSecret(ctx, s)
		return err
	})
	return made, err
}

// Change changes all of a secret but its name.
func (x Registry) Change(ctx context.Context, s run.Secret) (changed run.Secret, err error) {
	err = x.change(ctx, actionChangeSecret, s.Name, func(ctx context.Context) (err error) {
		changed, err = x.g.o.Control.ChangeSecret(ctx, s)
		return err
	})
	return changed, err
}

// Remove removes a secret.
func (x Registry) Remove(ctx context.Context, name string) error {
	return x.change(ctx, actionRemoveSecret, name, func(ctx context.Context) error { return x.g.o.Control.RemoveSecret(ctx, name) })
}

func (x Registry) change(ctx context.Context, action, name string, do func(ctx context.Context) error) error {
	if err := x.g.anywhere(ctx, access.SecretsManage); err != nil {
		return err
	}
	e := x.g.entry(ctx, access.SecretsManage, "", access.Subject{})
	e.Action, e.Subject = action, "secret:"+name
	ctx, _ = audit.Begin(ctx, e)
	return do(ctx)
}

// Set stores a value in the Nomad variable of a secret, and returns the namespaces that have it. The audit log says where it was stored,
// and nothing has the value.
func (x Registry) Set(ctx context.Context, name, value string) (namespaces []string, err error) {
	if err := x.g.anywhere(ctx, access.SecretsManage); err != nil {
		return nil, err
	}
	if err := x.g.o.Control.CheckValue(ctx, name, value); err != nil {
		return nil, err
	}
	e := x.g.entry(ctx, access.SecretsManage, "", access.Subject{})
	e.Action, e.Subject = actionSetSecret, "secret:"+name
	err = x.g.outside(ctx, e, func() (after any, err error) {
		namespaces, err = x.g.o.Control.SetSecret(ctx, name, value)
		return map[string][]string{"namespaces": namespaces}, err
	})
	return namespaces, err
}
