package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// Registry is the secrets that runs may ask for.
type Registry interface {
	// Secrets returns those that runs of a project may use, "" for all.
	Secrets(ctx context.Context, project string) ([]run.Secret, error)
	Secret(ctx context.Context, name string) (run.Secret, run.SecretUses, error)
	Register(ctx context.Context, s run.Secret) (run.Secret, error)
	// Change changes all but the name.
	Change(ctx context.Context, s run.Secret) (run.Secret, error)
	Remove(ctx context.Context, name string) error
	// Set stores a value in Nomad, and returns the namespaces that have it.
	Set(ctx context.Context, name, value string) (namespaces []string, err error)
}

// Secrets lists the registered secrets.
func (p *Pages) Secrets(w http.ResponseWriter, r *http.Request) error {
	return p.secrets(w, r, run.Secret{In: run.InNomad}, message{})
}

func (p *Pages) secrets(w http.ResponseWriter, r *http.Request, input run.Secret, m message) error {
	all, err := p.Registry.Secrets(r.Context(), "")
	if err != nil {
		return err
	}
	fields, err := p.secretFields(r.Context(), input)
	if err != nil {
		return err
	}
	name := text("name", "Name", input.Name, "What runs ask for. Cannot be changed.")
	name.Required, name.MaxBytes, name.Hint = true, 64, "HF_TOKEN"
	l := view.SecretList{Secrets: all, Notice: notice(r), Form: m.on(view.Form{Fields: append([]ui.Field{name}, fields...)})}
	return p.Render(w, r, m.status(), view.SecretsPage(p.frame(r, "Secrets", view.SecretsPath), l))
}

// secretFields are those of a secret but its name.
func (p *Pages) secretFields(ctx context.Context, s run.Secret) ([]ui.Field, error) {
	all, err := p.Accounts.Projects(ctx)
	if err != nil {
		return nil, err
	}
	in := ui.Field{Name: "in", Label: "Where it is", Kind: ui.KindSelect, Value: string(s.In), Choices: []ui.Choice{
		{Value: string(run.InNomad), Label: "Nomad variable"}, {Value: string(run.InVault), Label: "Vault"},
	}}
	path := text("path", "Path", s.Path, "In Vault with the mount: secret/cotrain/shared/hub. A Nomad variable is in the namespace of the run.")
	path.Required, path.Hint = true, "cotrain/hub"
	field := text("field", "Field", s.Field, "Empty with the variable: each field there becomes one of its own name.")
	field.Hint = "HF_TOKEN"
	env := text("env", "Environment variable", s.Env, "What it becomes for the trainer.")
	env.Hint = "HF_TOKEN"
	projects := ui.Field{Name: "projects", Label: "Projects", Kind: ui.KindTicks, Value: strings.Join(s.Projects, ","), Help: "Which may use it; none ticked, all."}
	for _, x := range all {
		projects.Choices = append(projects.Choices, ui.Choice{Value: x.Name, Label: x.Name})
	}
	for _, gone := range s.Projects {
		if !slices.ContainsFunc(projects.Choices, func(c ui.Choice) bool { return c.Value == gone }) {
			projects.Choices = append(projects.Choices, ui.Choice{Value: gone, Label: gone, Note: "deleted"})
		}
	}
	return []ui.Field{in, path, field, env, projects, text("note", "Note", s.Note, "Shown beside its name.")}, nil
}

func readSecret(form url.Values, name string) run.Secret {
	get := func(field string) string { return strings.TrimSpace(page.Text(form.Get(field), 800)) }
	s := run.Secret{Name: name, Note: get("note"), In: run.SecretSource(get("in")), Path: get("path"), Field: get("field"), Env: get("env")}
	for _, p := range form["projects"] {
		s.Projects = append(s.Projects, page.Text(p, 100))
	}
	return s
}

// RegisterSecret registers a secret.
func (p *Pages) RegisterSecret(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	input := readSecret(r.PostForm, strings.TrimSpace(page.Text(r.PostForm.Get("name"), 100)))
	made, err := p.Registry.Register(r.Context(), input)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.secrets(w, r, input, m)
	}
	return done(w, r, view.RunSecretPath(made.Name), "registered")
}

// Secret shows a secret, and what asks for it.
func (p *Pages) Secret(w http.ResponseWriter, r *http.Request) error {
	return p.secret(w, r, nil, message{}, message{})
}

func (p *Pages) secret(w http.ResponseWriter, r *http.Request, typed *run.Secret, about, value message) error {
	s, uses, err := p.Registry.Secret(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	shown := s
	if typed != nil {
		shown = *typed
	}
	d := view.SecretDetails{Secret: s, Uses: uses, Notice: notice(r)}
	if d.About.Fields, err = p.secretFields(r.Context(), shown); err != nil {
		return err
	}
	d.About = about.on(d.About)
	if s.In == run.InNomad && s.Field != "" {
		f := ui.Field{Name: "value", Label: "New value", Kind: ui.KindSecret, MaxBytes: 8000, Required: true, Help: "One line. It goes to Nomad, in each namespace whose runs may use it, and is kept nowhere here."}
		d.Value = value.on(view.Form{Fields: []ui.Field{f}})
	}
	status := about.status()
	if value.any() {
		status = value.status()
	}
	page.Secret(w)
	return p.Render(w, r, status, view.RunSecretPage(p.frame(r, "Secret "+s.Name, view.RunSecretPath(s.Name)), d))
}

// ChangeSecret changes all of a secret but its name.
func (p *Pages) ChangeSecret(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	input := readSecret(r.PostForm, r.PathValue("name"))
	_, err := p.Registry.Change(r.Context(), input)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.secret(w, r, &input, m, message{})
	}
	return done(w, r, view.RunSecretPath(input.Name), "saved")
}

// SetSecret passes a value on to Nomad.
func (p *Pages) SetSecret(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	name := r.PathValue("name")
	_, err := p.Registry.Set(r.Context(), name, r.PostForm.Get("value"))
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.secret(w, r, nil, message{}, m)
	}
	return done(w, r, view.RunSecretPath(name), "stored")
}

// AskRemoveSecret asks before a secret is removed, and says who asks for it.
func (p *Pages) AskRemoveSecret(w http.ResponseWriter, r *http.Request) error {
	s, uses, err := p.Registry.Secret(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	return p.Ask(w, r, nav, view.RemoveSecretConfirm(s, uses))
}

// RemoveSecret removes a secret.
func (p *Pages) RemoveSecret(w http.ResponseWriter, r *http.Request) error {
	if err := p.Registry.Remove(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return done(w, r, view.SecretsPath, "unregistered")
}
