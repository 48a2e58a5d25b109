package api

import (
	"context"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// Registry is the secrets that runs may ask for, as who asks may see and change them.
type Registry interface {
	// Secrets returns those that runs of a project may use, "" for all that who asks may see.
	Secrets(ctx context.Context, project string) ([]run.Secret, error)
	Secret(ctx context.Context, name string) (run.Secret, run.SecretUses, error)
	Register(ctx context.Context, s run.Secret) (run.Secret, error)
	Change(ctx context.Context, s run.Secret) (run.Secret, error)
	Remove(ctx context.Context, name string) error
	// Set stores a value in Nomad, and returns the namespaces that have it.
	Set(ctx context.Context, name, value string) (namespaces []string, err error)
}

func (s *server) listSecrets(ctx context.Context, in *client.SecretQuery) (client.SecretList, error) {
	all, err := s.Secrets.Secrets(ctx, in.Project)
	return client.SecretList{Items: notNil(all)}, err
}

type secretParam struct {
	Name string `path:"name" doc:"Name of the secret"`
}

func (s *server) getSecret(ctx context.Context, in *secretParam) (run.Secret, error) {
	out, _, err := s.Secrets.Secret(ctx, in.Name)
	return out, err
}

type registerSecretInput struct{ Body client.NewSecret }

func (s *server) registerSecret(ctx context.Context, in *registerSecretInput) (run.Secret, error) {
	return s.Secrets.Register(ctx, in.Body.Secret(in.Body.Name))
}

type changeSecretInput struct {
	Name string `path:"name" doc:"Name of the secret"`
	Body client.SecretInput
}

func (s *server) changeSecret(ctx context.Context, in *changeSecretInput) (run.Secret, error) {
	return s.Secrets.Change(ctx, in.Body.Secret(in.Name))
}

func (s *server) removeSecret(ctx context.Context, in *secretParam) (*struct{}, error) {
	return nil, s.Secrets.Remove(ctx, in.Name)
}

type setSecretInput struct {
	Name string `path:"name" doc:"Name of the secret"`
	Body client.SecretValue
}

func (s *server) setSecret(ctx context.Context, in *setSecretInput) (client.SecretStored, error) {
	namespaces, err := s.Secrets.Set(ctx, in.Name, in.Body.Value)
	return client.SecretStored{Namespaces: notNil(namespaces)}, err
}
