package state

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// minKey is the fewest characters of a key.
const minKey = 32

// KeyRing encrypts the items of variables on disk, with AES-256-GCM.
type KeyRing struct {
	file  string // of the agent's own key
	given bool   // the first is from the settings
	all   []cipher.AEAD
	err   error // why the file cannot be used
}

// OpenKeyRing returns those of the agent: the given one, if not "", and the one in file, which is made when it is needed first. A file that
// cannot be used is told by [KeyRing.Ready].
func OpenKeyRing(given, file string) *KeyRing {
	k := &KeyRing{file: file}
	if given != "" {
		k.given = true
		k.add(given)
	}
	switch text, err := os.ReadFile(file); {
	case err == nil && len(strings.TrimSpace(string(text))) >= minKey:
		k.add(strings.TrimSpace(string(text)))
	case err == nil:
		k.err = fmt.Errorf("%s holds no key: it has fewer than %d characters", file, minKey)
	case !errors.Is(err, fs.ErrNotExist):
		k.err = fmt.Errorf("the key of the agent's variables: %w", err)
	}
	return k
}

func (k *KeyRing) add(text string) {
	key := sha256.Sum256([]byte("cotrain agent variables\x00" + text))
	block, _ := aes.NewCipher(key[:])             // has the right size
	gcm, _ := cipher.NewGCMWithRandomNonce(block) // of AES
	k.all = append(k.all, gcm)
}

// String says where the key is that is in use.
func (k *KeyRing) String() string {
	if k.given {
		return "the settings"
	}
	return k.file
}

// Ready makes a key where there is none. It returns why variables cannot be encrypted, or nil.
func (k *KeyRing) Ready() error {
	if len(k.all) > 0 || k.err != nil {
		if k.given {
			return nil
		}
		return k.err
	}
	text := rand.Text() + rand.Text()
	if err := writeKey(k.file, text); err != nil {
		return fmt.Errorf("make a key for the agent's variables: %w", err)
	}
	k.add(text)
	return nil
}

// writeKey writes the file so that it is there whole or not at all.
func writeKey(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what is left of it
	}
	return err
}

// seal takes a variable's items out of a record and puts them in again encrypted. The path is bound to them.
func (k *KeyRing) seal(r record) (record, error) {
	if r.Var == nil || len(r.Var.Items) == 0 {
		return r, nil
	}
	if err := k.Ready(); err != nil {
		return r, err
	}
	text, err := json.Marshal(r.Var.Items)
	if err != nil {
		return r, err
	}
	v := *r.Var
	v.Items = nil
	r.Var, r.Sealed = &v, k.all[0].Seal(nil, nil, text, []byte(v.Path)) // #nosec G407 -- it draws the nonce itself
	return r, nil
}

// open puts the items of a sealed record into its variable. stale is true for what a new log has to hold otherwise: plain as earlier
// versions wrote it, or sealed by a key that is not in use any more. ok is false without the key.
func (k *KeyRing) open(r *record) (stale, ok bool) {
	if len(r.Sealed) == 0 {
		return len(r.Var.Items) > 0, true
	}
	for i, key := range k.all {
		text, err := key.Open(nil, nil, r.Sealed, []byte(r.Var.Path))
		if err == nil && json.Unmarshal(text, &r.Var.Items) == nil {
			r.Sealed = nil
			return i > 0, true
		}
	}
	return false, false
}

// lose keeps a variable whose key is not there, as it is, for when the key is back.
func (t *Tables) lose(r record) {
	delete(t.Vars, r.Var.Path)
	t.lost[r.Var.Path] = r
}

func (t *Tables) setVar(v *api.Variable) {
	t.Vars[v.Path] = v
	delete(t.lost, v.Path)
}

func (t *Tables) dropVar(path string) {
	delete(t.Vars, path)
	delete(t.lost, path)
}
