package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// MaxSecretValue bounds a value that is passed on to Nomad, whose variables hold 64 KiB in all.
const MaxSecretValue = 60 << 10

// lookTimeout bounds how long a dry run looks for secrets.
const lookTimeout = 5 * time.Second

// Secrets returns the registered secrets by name.
func (c *Control) Secrets(ctx context.Context) ([]run.Secret, error) { return c.o.Store.Secrets(ctx) }

// RegisterSecret registers a secret; what is wrong with it is [run.FieldErrors], and a name that is taken [fault.ErrConflict].
func (c *Control) RegisterSecret(ctx context.Context, s run.Secret) (run.Secret, error) {
	return c.keepSecret(ctx, s, c.o.Store.RegisterSecret)
}

// ChangeSecret changes all of a secret but its name. It counts for attempts that are sent from then on.
func (c *Control) ChangeSecret(ctx context.Context, s run.Secret) (run.Secret, error) {
	return c.keepSecret(ctx, s, c.o.Store.ChangeSecret)
}

func (c *Control) keepSecret(ctx context.Context, s run.Secret, keep func(context.Context, run.Secret) error) (run.Secret, error) {
	s.Note, s.Path = strings.TrimSpace(s.Note), strings.TrimSpace(s.Path)
	s.Projects = slices.Compact(slices.Sorted(slices.Values(s.Projects)))
	if errs := c.checkSecret(ctx, s); len(errs) > 0 {
		return s, errs
	}
	if err := keep(ctx, s); err != nil {
		return s, err
	}
	c.o.Queue.Wake()
	return s, nil
}

// checkSecret judges a secret with what only the console knows: its projects, and what the core and CoTrain take for themselves.
func (c *Control) checkSecret(ctx context.Context, s run.Secret) run.FieldErrors {
	errs := trainconf.AsFieldErrors(s.Check())
	if bad := trainconf.SecretEnvProblem(s.Env); bad != nil {
		errs = append(errs, *bad)
	}
	if c.o.Projects == nil {
		return errs
	}
	all := c.o.Projects.ProjectNames(ctx)
	for _, name := range s.Projects {
		if !slices.Contains(all, name) {
			errs = append(errs, run.FieldError{Field: "projects", Value: fault.Quote(name), Rule: "there is no project " + fault.Quote(name), Fix: "use some of " + strings.Join(all[:min(len(all), 10)], ", ")})
		}
	}
	return errs
}

// RemoveSecret removes a secret; runs that ask for it wait from their next attempt on.
func (c *Control) RemoveSecret(ctx context.Context, name string) error {
	return c.o.Store.RemoveSecret(ctx, name)
}

// maxUses bounds what is named of what asks for a secret.
const maxUses = 20

// SecretUses finds the runs that have not ended, and the templates, that ask for a secret.
func (c *Control) SecretUses(ctx context.Context, name string) (run.SecretUses, error) {
	var out run.SecretUses
	asks := func(o run.Options) bool { return slices.Contains(o.Secrets, name) }
	states := slices.DeleteFunc(run.States(), run.State.Terminal)
	runs, err := c.o.Store.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), States: states, Limit: 1000})
	if err != nil {
		return out, err
	}
	for _, r := range runs {
		if asks(r.Options) {
			if out.Count++; len(out.Runs) < maxUses {
				out.Runs = append(out.Runs, run.SecretUse{ID: r.ID, Name: r.Name, Project: r.Project})
			}
		}
	}
	templates, err := c.o.Store.Templates(ctx, run.AllProjects())
	if err != nil {
		return out, err
	}
	for _, t := range templates {
		if asks(t.Options) && len(out.Templates) < maxUses {
			out.Templates = append(out.Templates, t.FullRef())
		}
	}
	return out, nil
}

// SetSecret stores the value of a secret in its Nomad variable, in each namespace where it may be used, and forgets it. What else is in
// the variable stays. It returns the namespaces that have it.
func (c *Control) SetSecret(ctx context.Context, name, value string) (namespaces []string, err error) {
	s, err := c.settable(ctx, name, value)
	if err != nil {
		return nil, err
	}
	for _, namespace := range c.namespacesOf(ctx, s) {
		if err := c.o.Cluster.PutVariable(ctx, namespace, s.Path, s.Field, value); err != nil {
			if f := fault.Of(err); len(namespaces) > 0 {
				err = fault.New(f.Kind, f.What+" It is stored in "+strings.Join(namespaces, ", ")+".", f.Fix).Because(err)
			}
			return namespaces, err
		}
		namespaces = append(namespaces, c.o.Cluster.NamespaceOf(namespace))
	}
	return namespaces, nil
}

// CheckValue reports why [Control.SetSecret] would store nothing, as far as can be told before it tries.
func (c *Control) CheckValue(ctx context.Context, name, value string) error {
	_, err := c.settable(ctx, name, value)
	return err
}

// settable returns a secret of which the console can store a value.
func (c *Control) settable(ctx context.Context, name, value string) (run.Secret, error) {
	all, err := c.o.Store.Secrets(ctx)
	if err != nil {
		return run.Secret{}, err
	}
	i := slices.IndexFunc(all, func(s run.Secret) bool { return s.Name == name })
	if i < 0 {
		return run.Secret{}, run.NoSecret(name)
	}
	if errs := valueErrors(all[i], value); len(errs) > 0 {
		return all[i], errs
	}
	return all[i], nil
}

// valueErrors says why the console cannot store a value of a secret. The value is in no message.
func valueErrors(s run.Secret, value string) run.FieldErrors {
	bad := func(field, value, rule, fix string) run.FieldErrors {
		return run.FieldErrors{{Field: field, Value: value, Rule: rule, Fix: fix}}
	}
	switch {
	case s.In != run.InNomad:
		return bad("in", string(s.In), "is where only Vault's own tools store values", "vault kv patch "+s.Path+" "+cmp.Or(s.Field, "FIELD")+"=-")
	case s.Field == "":
		return bad("field", "", "is needed for the console to store a value", "name one, or store the variable with nomad var put "+s.Path)
	case value == "":
		return bad("value", "", "must not be empty", "give the value")
	case len(value) > MaxSecretValue:
		return bad("value", fmt.Sprintf("%d bytes", len(value)), fmt.Sprintf("must have at most %d bytes", MaxSecretValue), "keep it in Vault, or in shared storage")
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		return bad("value", "", "must be text", "encode it, as base64 for example")
	}
	return nil
}

// namespacesOf are those in which runs may use a secret, as projects have them; "" is the console's.
func (c *Control) namespacesOf(ctx context.Context, s run.Secret) []string {
	projects := s.Projects
	if len(projects) == 0 && c.o.Projects != nil {
		projects = c.o.Projects.ProjectNames(ctx)
	}
	var out []string
	for _, p := range projects {
		namespace := ""
		if c.o.Projects != nil {
			namespace = c.o.Projects.Settings(p).Namespace
		}
		out = append(out, namespace)
	}
	if len(out) == 0 {
		out = []string{""}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// look tells of each secret of a draft whether it is there. They are looked for at the same time, and only for so long.
func (c *Control) look(ctx context.Context, d draft) []run.SecretLook {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	out := make([]run.SecretLook, len(d.refs))
	var looking sync.WaitGroup
	for i, ref := range d.refs { // in the order of the names
		out[i] = run.SecretLook{Name: d.run.Options.Secrets[i], Env: ref.Env, Where: ref.String()}
		looking.Go(func() { c.lookAt(ctx, &out[i], d.run.Shape.Namespace, ref) })
	}
	looking.Wait()
	return out
}

func (c *Control) lookAt(ctx context.Context, l *run.SecretLook, namespace string, ref run.SecretRef) {
	var err error
	switch {
	case ref.In == run.InNomad:
		err = c.o.Cluster.FindVariable(ctx, namespace, ref.Path, ref.Field)
	case c.o.Vault == nil:
		err = fault.New(fault.ErrUnavailable, "The console does not reach Vault itself.", "Look yourself: vault kv get "+ref.Path+"; or set vault.address (VAULT_ADDR) and vault.auth.")
	default:
		err = c.o.Vault.Find(ctx, ref.Path, ref.Field)
	}
	if err == nil {
		l.State = run.SecretPresent
		if own := c.o.Cluster.NamespaceOf(namespace); ref.In == run.InVault && !strings.Contains(ref.Path, "/cotrain/shared/") && !strings.Contains(ref.Path, "/cotrain/"+own+"/") {
			l.Why = "With the policy of cotrain cluster setup, runs in namespace " + own + " read only what is below cotrain/shared/ or cotrain/" + own + "/ of the mount."
		}
		return
	}
	f := fault.Of(err)
	l.State, l.Why, l.Fix = run.SecretUnknown, f.What, f.Fix
	switch {
	case errors.Is(err, fault.ErrNotFound):
		l.State = run.SecretMissing
	case errors.Is(err, fault.ErrForbidden), errors.Is(err, fault.ErrNomadDenied), errors.Is(err, fault.ErrNamespace):
		l.State = run.SecretForbidden
	}
}
