package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/cotrain/cotrain/internal/run"
)

const registryPath = "/api/v1/secrets"

func secretPath(name string) string { return registryPath + "/" + url.PathEscape(name) }

// SecretList is registered secrets.
type SecretList struct {
	Items []run.Secret `json:"items" nullable:"false" doc:"By name"`
}

// SecretQuery selects registered secrets.
type SecretQuery struct {
	Project string `query:"project" maxLength:"63" doc:"Only those that its runs may use"`
}

// SecretInput is what a secret is, but for its name.
type SecretInput struct {
	Note     string           `json:"note,omitempty" doc:"What it is for"`
	In       run.SecretSource `json:"in" enum:"vault,nomad" doc:"Where the value is"`
	Path     string           `json:"path" doc:"MOUNT/PATH in Vault, without the data/ of the second KV engine, or the path of a Nomad variable in the namespace of the run"`
	Field    string           `json:"field,omitempty" doc:"Left out with env: each field there becomes a variable of its own name"`
	Env      string           `json:"env,omitempty" doc:"Environment variable of the trainer"`
	Projects []string         `json:"projects,omitempty" doc:"Which may use it; left out, all"`
}

// Secret is the secret of that name.
func (in SecretInput) Secret(name string) run.Secret {
	return run.Secret{Name: name, Note: in.Note, In: in.In, Path: in.Path, Field: in.Field, Env: in.Env, Projects: in.Projects}
}

// NewSecret is a secret to register.
type NewSecret struct {
	Name string `json:"name" doc:"Cannot be changed"`
	SecretInput
}

// SecretValue is the value of a secret, for its Nomad variable.
type SecretValue struct {
	Value string `json:"value" doc:"Stored in Nomad and nowhere else; it can never be read here"`
}

// SecretStored says where the value of a secret was stored.
type SecretStored struct {
	Namespaces []string `json:"namespaces" nullable:"false" doc:"Of Nomad"`
}

// Secrets lists the secrets that runs of a project may use, "" for all that who asks may see.
func (c *Client) Secrets(ctx context.Context, project string) (SecretList, error) {
	return get[SecretList](ctx, c, registryPath, SecretQuery{project})
}

// RegisterSecret registers a secret.
func (c *Client) RegisterSecret(ctx context.Context, in NewSecret) (out run.Secret, err error) {
	return out, c.send(ctx, http.MethodPost, registryPath, in, &out)
}

// ChangeSecret changes all of a secret but its name.
func (c *Client) ChangeSecret(ctx context.Context, name string, in SecretInput) (out run.Secret, err error) {
	return out, c.send(ctx, http.MethodPut, secretPath(name), in, &out)
}

// RemoveSecret removes a secret; its value stays where it is.
func (c *Client) RemoveSecret(ctx context.Context, name string) error {
	return c.send(ctx, http.MethodDelete, secretPath(name), nil, nil)
}

// SetSecret has the console store the value of a secret in its Nomad variable.
func (c *Client) SetSecret(ctx context.Context, name, value string) (out SecretStored, err error) {
	return out, c.send(ctx, http.MethodPut, secretPath(name)+"/value", SecretValue{value}, &out)
}
