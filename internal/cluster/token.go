package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// kvField is the field of the console's own secrets in Vault that holds its token of Nomad.
const kvField = "nomad_token"

// forToken makes the console's token where it is asked for. One that is there and works stays.
func (s *setup) forToken() ([]thing, error) {
	switch {
	case s.o.TokenFile != "":
		return []thing{s.token(s.o.TokenFile, func(context.Context) (string, error) { return ReadToken(s.o.TokenFile) }, func(_ context.Context, token string) error {
			return WriteToken(s.o.TokenFile, token)
		})}, nil
	case s.o.TokenInVault && s.vault == nil:
		return nil, fault.Usage("the token cannot go into Vault: vault.address is not set", "set VAULT_ADDR, or use --token-file")
	case s.o.TokenInVault:
		return []thing{s.token("vault:"+s.o.KVMount+"/cotrain#"+kvField, s.tokenInVault, s.putTokenInVault)}, nil
	case s.o.PrintToken:
		none := func(context.Context) (string, error) { return "", nil }
		return []thing{s.token("printed", none, func(_ context.Context, token string) error {
			s.report.Token = token
			return nil
		})}, nil
	}
	if !s.o.ServiceJob && !s.o.NomadEngine {
		s.report.Notes = append(s.report.Notes, "No token was made for the console: say where it goes with --token-file, --token-in-vault or --print-token, or let Vault make them with --nomad-engine.")
	}
	return nil, nil
}

// token is the console's token at a place.
func (s *setup) token(place string, read func(context.Context) (string, error), write func(context.Context, string) error) thing {
	return thing{"nomad", "token", place, func(ctx context.Context) (string, bool, error) {
		secret, err := read(ctx)
		if err != nil || secret == "" {
			return "", false, err
		}
		good, err := s.nomad.TokenHasRole(ctx, secret, consoleName)
		if !good {
			return "a token that does not work, or that has other rights", true, err
		}
		return "a token with the role " + consoleName, true, nil
	}, text("a token with the role " + consoleName), func(ctx context.Context) error {
		secret, err := s.nomad.CreateToken(ctx, consoleName, consoleName)
		if err != nil {
			return err
		}
		return write(ctx, secret)
	}}
}

func (s *setup) kvPath() string { return s.o.KVMount + "/data/cotrain" }

func (s *setup) tokenInVault(ctx context.Context) (string, error) {
	data, _, err := s.vault.Get(ctx, s.kvPath())
	fields, _ := data["data"].(map[string]any)
	token, _ := fields[kvField].(string)
	return token, err
}

// putTokenInVault keeps the other fields, and fails where somebody else changes them at the same time.
func (s *setup) putTokenInVault(ctx context.Context, token string) error {
	data, _, err := s.vault.Get(ctx, s.kvPath())
	if err != nil {
		return err
	}
	fields, _ := data["data"].(map[string]any)
	if fields == nil {
		fields = map[string]any{}
	}
	fields[kvField] = token
	version := any(0)
	if meta, ok := data["metadata"].(map[string]any); ok {
		version = meta["version"]
	}
	_, err = s.vault.Put(ctx, s.kvPath(), map[string]any{"data": fields, "options": map[string]any{"cas": version}})
	return err
}

// ReadToken reads a token from a file, "" if there is none.
func ReadToken(name string) (string, error) {
	b, err := os.ReadFile(name) // #nosec G304 -- the operator names it
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("The token in %s cannot be read: %v.", name, err), "Correct its mode, or name another file.")
	}
	return strings.TrimSpace(string(b)), nil
}

// WriteToken writes a token to a file that only its owner can read, in place of one that is there.
func WriteToken(name, token string) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".token-") // mode 0600
	if err == nil {
		_, err = temp.WriteString(token + "\n")
		err = errors.Join(err, temp.Close())
		if err == nil {
			err = os.Rename(temp.Name(), name)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}
	if err != nil {
		return fault.New(fault.ErrInvalid, fmt.Sprintf("The token cannot be written to %s: %v.", name, err), "Name another file. The token that was made is lost: nomad acl token list has it, for nomad acl token delete.")
	}
	return nil
}
