package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// kvField is the field of the console's own secrets in Vault that holds its token of Nomad.
const kvField = "nomad_token"

// forToken makes the console's token where it is asked for. One that is there and works stays.
func (s *setup) forToken() ([]thing, error) {
	switch {
	case s.o.TokenFile != "":
		return []thing{s.token(s.o.TokenFile, func(context.Context) (string, error) { return ReadToken(s.o.TokenFile) }, func(ctx context.Context, create creator) error {
			return WriteToken(s.o.TokenFile, func() (string, error) { return create(ctx) })
		})}, nil
	case s.o.TokenInVault && s.vault == nil:
		return nil, fault.Usage("the token cannot go into Vault: vault.address is not set", "set VAULT_ADDR, or use --token-file")
	case s.o.TokenInVault:
		return []thing{s.token("vault:"+s.o.KVMount+"/cotrain#"+kvField, s.tokenInVault, s.putTokenInVault)}, nil
	case s.o.PrintToken:
		none := func(context.Context) (string, error) { return "", nil }
		return []thing{s.token("printed", none, func(ctx context.Context, create creator) (err error) {
			s.report.Token, err = create(ctx)
			return err
		})}, nil
	}
	if !s.o.ServiceJob && !s.o.NomadEngine {
		s.report.Notes = append(s.report.Notes, "No token was made for the console: say where it goes with --token-file, --token-in-vault or --print-token, or let Vault make them with --nomad-engine.")
	}
	return nil, nil
}

// creator makes a token. It is called once the token can be kept: Nomad tells its secret only once.
type creator func(ctx context.Context) (string, error)

// token is the console's token at a place.
func (s *setup) token(place string, read func(context.Context) (string, error), keep func(context.Context, creator) error) thing {
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
		return keep(ctx, func(ctx context.Context) (string, error) { return s.nomad.CreateToken(ctx, consoleName, consoleName) })
	}}
}

// noteSpareTokens tells of the console's tokens in Nomad beside the one in use: a set-up that is killed between the making of a token and
// its keeping leaves one that nobody knows.
func (s *setup) noteSpareTokens(ctx context.Context) {
	var secret string
	var err error
	switch {
	case s.o.TokenFile != "":
		secret, err = ReadToken(s.o.TokenFile)
	case s.o.TokenInVault:
		secret, err = s.tokenInVault(ctx)
	case s.o.PrintToken:
		secret = s.report.Token
	default:
		return
	}
	if err != nil {
		return // as the report says
	}
	others, err := s.nomad.OtherTokens(ctx, consoleName, secret)
	if err != nil {
		s.report.Notes = append(s.report.Notes, "Whether Nomad has spare tokens of the console is not known: "+told(err))
		return
	}
	for _, accessor := range others {
		s.report.Notes = append(s.report.Notes, "Nomad has another token with the name "+consoleName+", of another console, or left by a setup that was replaced or killed. Where nothing uses it: nomad acl token delete "+accessor)
	}
}

func (s *setup) kvPath() string { return s.o.KVMount + "/data/cotrain" }

func (s *setup) tokenInVault(ctx context.Context) (string, error) {
	data, _, err := s.vault.Get(ctx, s.kvPath())
	fields, _ := data["data"].(map[string]any)
	token, _ := fields[kvField].(string)
	return token, err
}

// putTokenInVault keeps the other fields, and fails where somebody else changes them at the same time.
func (s *setup) putTokenInVault(ctx context.Context, create creator) error {
	data, _, err := s.vault.Get(ctx, s.kvPath())
	if err != nil {
		return err
	}
	fields, _ := data["data"].(map[string]any)
	if fields == nil {
		fields = map[string]any{}
	}
	if fields[kvField], err = create(ctx); err != nil {
		return err
	}
	version := any(0)
	if meta, ok := data["metadata"].(map[string]any); ok {
		version = meta["version"]
	}
	_, err = s.vault.Put(ctx, s.kvPath(), map[string]any{"data": fields, "options": map[string]any{"cas": version}})
	return err
}

// secretID is the form of Nomad's tokens.
var secretID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// ReadToken reads a token from a file, "" if there is none. A file with anything else is an error, so that it is neither sent nor replaced.
func ReadToken(name string) (string, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("The token cannot be in %s: that is not a file.", name), "Name a file, which need not be there yet.")
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(name) // #nosec G304 -- the operator names it
	}
	if err != nil {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("The token in %s cannot be read: %v.", name, errors.Unwrap(err)), "Correct its mode, or name another file.")
	}
	token := strings.TrimSpace(string(b))
	if token != "" && !secretID.MatchString(token) {
		return "", fault.New(fault.ErrInvalid, fmt.Sprintf("What %s holds is not a token of Nomad.", name), "Name another file, or one that is not there yet: nothing else is replaced.")
	}
	return token, nil
}

// WriteToken keeps a token in a file that only its owner can read, in place of one that is there. The token is made when the file can be written.
func WriteToken(name string, create func() (string, error)) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target // a link stays one
	}
	return keepToken(name, create, os.Rename)
}

// WriteFirstToken keeps a token as [WriteToken] does, in a file that is not there yet: of two commands at once only one succeeds.
func WriteFirstToken(name, token string) error {
	return keepToken(name, func() (string, error) { return token, nil }, os.Link)
}

func keepToken(name string, create func() (string, error), place func(temp, name string) error) error {
	temp, err := os.CreateTemp(filepath.Dir(name), ".token-") // mode 0600
	if err != nil {
		return fault.New(fault.ErrInvalid, fmt.Sprintf("The token cannot be written to %s: %v.", name, errors.Unwrap(err)), "Correct the folder, or name another file. No token was made.")
	}
	defer func() { _ = os.Remove(temp.Name()) }() // gone already, unless something failed
	token, err := create()
	if err != nil {
		return errors.Join(err, temp.Close())
	}
	_, err = temp.WriteString(token + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = place(temp.Name(), name)
	}
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.ErrConflict, fmt.Sprintf("%s is empty, or another setup has just written it.", name), "Run the command again, without that file if it is empty.")
	}
	if err != nil {
		return fault.New(fault.ErrInvalid, fmt.Sprintf("The token cannot be written to %s: %v.", name, err), "Name another file. The token that was made is lost: nomad acl token list has it, for nomad acl token delete.")
	}
	return nil
}

// NewSecret is a new secret in the form of Nomad's tokens.
func NewSecret() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
