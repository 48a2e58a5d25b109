package nomad

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// Keys of a dispatch's meta, declared in the job file and read by the launch script as NOMAD_META_<key>.
const (
	metaRunID      = "run_id"
	metaAttempt    = "attempt"
	metaResume     = "resume"
	metaEnv        = "env"
	metaArgs       = "args"
	metaSecrets    = "secrets"
	metaCheckpoint = "ckpt_path"
)

// MaxMeta bounds a meta value in bytes. Each becomes an environment string, limited by Linux to 128 KiB
// (MAX_ARG_STRLEN).
const MaxMeta = 16 * 1024

// runEnvName is a shell's variable name.
var runEnvName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Meta is what the dispatch tells workers beside the configuration. The error is [fault.ErrInvalid] and names what
// cannot be sent.
func (d Dispatch) Meta() (map[string]string, error) {
	if d.Priority < 0 || d.Priority > 100 {
		return nil, fmt.Errorf("priority %d: %w: Nomad takes 1 to 100", d.Priority, fault.ErrInvalid)
	}
	meta := map[string]string{metaRunID: string(d.RunID), metaAttempt: strconv.Itoa(d.Attempt)}
	lines := make([]string, 0, len(d.Env))
	for _, name := range slices.Sorted(maps.Keys(d.Env)) {
		if !runEnvName.MatchString(name) {
			return nil, fmt.Errorf("environment variable %q: %w: use letters, digits and _, and begin with no digit", clean(name), fault.ErrInvalid)
		}
		lines = append(lines, name+"="+d.Env[name])
	}
	if i := slices.IndexFunc(lines, manyLines); i >= 0 {
		name, _, _ := strings.Cut(lines[i], "=")
		return nil, fmt.Errorf("environment variable %s: %w: its value must be one line of text", name, fault.ErrInvalid)
	}
	if i := slices.IndexFunc(d.Args, func(a string) bool { return a == "" || manyLines(a) }); i >= 0 {
		return nil, fmt.Errorf("argument %d: %w: it must be one line of text and not be empty", i+1, fault.ErrInvalid)
	}
	secrets := make([]string, len(d.Secrets))
	for i, ref := range d.Secrets {
		if err := ref.Check(); err != nil {
			return nil, err
		}
		secrets[i] = strings.Join([]string{ref.Env, string(ref.In), ref.Path, ref.Field}, "\t")
	}
	for key, value := range map[string]string{
		metaResume: d.Resume, metaEnv: strings.Join(lines, "\n"), metaArgs: strings.Join(d.Args, "\n"),
		metaSecrets: strings.Join(secrets, "\n"), metaCheckpoint: d.CheckpointPath,
	} {
		switch {
		case value == "":
			continue
		case len(value) > MaxMeta:
			return nil, fmt.Errorf("%s of %d bytes: %w: at most %d are sent with a run", key, len(value), fault.ErrInvalid, MaxMeta)
		case (key == metaResume || key == metaCheckpoint) && manyLines(value):
			return nil, fmt.Errorf("%s: %w: a path must be one line of text", key, fault.ErrInvalid)
		}
		meta[key] = value
	}
	return meta, nil
}

func manyLines(s string) bool { return strings.ContainsAny(s, "\n\r\x00") || !utf8.ValidString(s) }
