package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
)

// credential is an API token that "cotrain login" got from one console.
type credential struct {
	ID        access.TokenID `json:"id"`
	Token     string         `json:"token"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// credentials are those of a person, by the address of the console.
type credentials struct {
	file  string
	known map[string]credential
}

// readCredentials reads the file in the person's configuration folder. One that others can read is refused.
func (p *process) readCredentials() (credentials, error) {
	folder, err := p.configDir()
	if err != nil {
		return credentials{}, nil //nolint:nilerr // nowhere to keep any: a program without a home has none
	}
	c := credentials{file: filepath.Join(folder, "cotrain", "credentials"), known: map[string]credential{}}
	info, err := os.Stat(c.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return c, fault.Usage("others may read "+c.file+", which holds API tokens", "run chmod 600 "+c.file+", and revoke them if somebody has")
	}
	var content []byte
	if err == nil {
		content, err = readFile(c.file)
	}
	if err == nil {
		err = json.Unmarshal(content, &c.known)
	}
	if err != nil {
		return c, fault.Usage(fmt.Sprintf("%s cannot be read: %v", c.file, err), "repair or remove it")
	}
	return c, nil
}

// keep stores the token for a console, or with none removes it. Nobody else can read the file, not even for a moment, and a
// crash leaves the one before.
func (c credentials) keep(address string, k credential) (err error) {
	if c.file == "" {
		return fault.Usage("there is no configuration folder to keep the token in", "set HOME or XDG_CONFIG_HOME")
	}
	if k.Token == "" {
		delete(c.known, address)
	} else {
		c.known[address] = k
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", c.file, err)
		}
	}()
	content, err := json.MarshalIndent(c.known, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.file), ".credentials-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(content, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells
	}
	return err
}
