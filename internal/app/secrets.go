package app

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/control"
	"github.com/cotrain/cotrain/internal/s3"
	"github.com/cotrain/cotrain/internal/vault"
)

// secrets are the settings that are in Vault, and the way to it.
type secrets struct {
	vault *vault.Client // nil where none is
	refs  map[string]vault.Ref
	log   *slog.Logger

	bucket *s3.Bucket // of logs, nil for none

	login atomic.Pointer[[2]string] // user and password of the database, where Vault has both
}

// readSecrets returns the configuration with what it refers to.
func readSecrets(ctx context.Context, cfg config.Config, log *slog.Logger) (config.Config, *secrets, error) {
	s := &secrets{refs: map[string]vault.Ref{}, log: log}
	refs, needed := cfg.References(), cfg.TLS.Vault != ""
	if needed = needed || len(refs) > 0; !needed && cfg.Vault.Address == "" {
		return cfg, s, nil
	}
	var err error
	s.vault, err = vaultClient(cfg.Vault, log)
	if err != nil && !needed { // it would only look for secrets of runs
		log.Warn("the console does not look for secrets in Vault", "err", err)
		return cfg, s, nil
	}
	if err != nil {
		return cfg, s, err
	}
	cfg, err = cfg.Resolve(func(r config.Reference) (string, error) {
		ref, err := vault.ParseRef(r.Ref)
		if err != nil {
			return "", err
		}
		s.refs[r.Key] = ref
		return s.vault.Value(ctx, ref)
	})
	if err != nil {
		s.close(ctx)
		return cfg, s, err
	}
	if user, password := s.refs["database.user"], s.refs["database.password"]; user.Path == password.Path && user.Path != "" {
		s.login.Store(&[2]string{cfg.Database.User, string(cfg.Database.Password)})
	}
	return cfg, s, nil
}

func vaultClient(v config.Vault, log *slog.Logger) (*vault.Client, error) {
	return vault.New(vault.Config{
		Address: v.Address, Namespace: v.Namespace, CACert: v.CACert, ClientCert: v.ClientCert, ClientKey: v.ClientKey, ServerName: v.ServerName, Logger: log,
		Auth: vault.Auth{
			Method: vault.Method(v.Auth), Mount: v.AuthMount, Role: v.Role, Token: string(v.Token), TokenFile: v.TokenFile, SecretID: string(v.SecretID), JWTFile: v.JWTFile,
		},
	})
}

// finder tells what is in Vault, nil where the console does not reach it.
func (s *secrets) finder() control.Vault {
	if s.vault == nil {
		return nil
	}
	return s.vault
}

// close gives back what the log-in at Vault gave.
func (s *secrets) close(ctx context.Context) {
	if s.vault != nil {
		s.vault.Close(ctx)
	}
}

// databaseLogin tells user and password as they are, nil where they never change.
func (s *secrets) databaseLogin() func() (user, password string) {
	if s.login.Load() == nil {
		return nil
	}
	return func() (user, password string) {
		now := s.login.Load()
		return now[0], now[1]
	}
}

// follow takes over what changes in Vault: the token of Nomad and the user of the database. Of other settings a change counts from the
// next start.
func (s *secrets) follow(setToken func(string)) {
	for key, ref := range s.refs {
		switch {
		case key == "nomad.token":
			s.vault.Follow(func(_ context.Context, values []string) error {
				setToken(values[0])
				s.log.Info("Nomad's token was replaced", "setting", key)
				return nil
			}, ref)
		case key == "database.user" && s.login.Load() != nil:
			s.vault.Follow(func(_ context.Context, values []string) error {
				s.login.Store(&[2]string{values[0], values[1]})
				s.log.Info("the user of the database was replaced", "setting", key, "user", values[0])
				return nil
			}, ref, s.refs["database.password"])
		case s.ofBucket(key):
			s.followBucket()
		case key == "logs.s3_secret_key" && s.ofBucket("logs.s3_access_key"): // with its access key
		case key == "database.password" && s.login.Load() != nil: // with its user
		default:
			s.vault.Follow(func(context.Context, []string) error {
				s.log.Warn("a setting has changed in Vault; the console uses it from its next start", "setting", key)
				return nil
			}, ref)
		}
	}
}

// ofBucket reports whether a setting is the access key of the store of logs, and its secret key is in Vault with it.
func (s *secrets) ofBucket(key string) bool {
	access, secret := s.refs["logs.s3_access_key"], s.refs["logs.s3_secret_key"]
	return key == "logs.s3_access_key" && s.bucket != nil && access.Path != "" && access.Path == secret.Path
}

// followBucket replaces the keys of the store of logs as they change.
func (s *secrets) followBucket() {
	s.vault.Follow(func(_ context.Context, values []string) error {
		s.bucket.SetKeys(values[0], values[1])
		s.log.Info("the keys of the archive of logs were replaced", "setting", "logs.s3_access_key")
		return nil
	}, s.refs["logs.s3_access_key"], s.refs["logs.s3_secret_key"])
}
