package run

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
)

// SecretSource is where the value of a secret is.
type SecretSource string

// The sources of secrets.
const (
	InVault SecretSource = "vault"
	InNomad SecretSource = "nomad" // a Nomad variable in the namespace of the run
)

// Limits of a registered secret, bytes.
const (
	MaxSecretPath = 512
	MaxSecretNote = 500
)

var (
	secretName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	secretEnv  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	// variablePath is Nomad's own rule for the path of a variable.
	variablePath = regexp.MustCompile(`^[A-Za-z0-9_~/-]{1,128}$`)
)

// Secret is what an administrator registers so that runs can ask for it by name. It says where the value is; only the node that
// runs a worker reads that.
type Secret struct {
	Name  string       `json:"name"`
	Note  string       `json:"note,omitempty"`
	In    SecretSource `json:"in"`
	Path  string       `json:"path"`            // of a Nomad variable, or MOUNT/PATH of Vault (without the data/ of its second KV engine)
	Field string       `json:"field,omitempty"` // "": all that are at the path, each under its own name
	Env   string       `json:"env,omitempty"`   // environment variable of the trainer; "" with no field only
	// Projects may use it; none: all may.
	Projects []string `json:"projects,omitempty"`
}

// UsableBy reports whether runs of the project may have the secret.
func (s Secret) UsableBy(project string) bool {
	return len(s.Projects) == 0 || slices.Contains(s.Projects, project)
}

// Ref is what a dispatch says of the secret.
func (s Secret) Ref() SecretRef { return SecretRef{Env: s.Env, In: s.In, Path: s.Path, Field: s.Field} }

// Check judges a secret that is to be registered. The error is [fault.ErrInvalid] and names what is wrong.
func (s Secret) Check() error {
	bad := func(field, value, rule string) error {
		return fmt.Errorf("%s %q of the secret: %w: %s", field, value, fault.ErrInvalid, rule)
	}
	if !secretName.MatchString(s.Name) {
		return bad("name", s.Name, "1 to 64 letters, digits and . _ -, beginning with a letter or a digit, such as HF_TOKEN")
	}
	if len(s.Note) > MaxSecretNote || !utf8.ValidString(s.Note) {
		return bad("note", s.Name, fmt.Sprintf("at most %d bytes of text", MaxSecretNote))
	}
	if (s.Env == "") != (s.Field == "") {
		return bad("environment variable", s.Env, "needed with a field, and only with one: without a field each value has its own name")
	}
	return s.Ref().Check()
}

// SecretRef is a secret as a dispatch carries it to the node.
type SecretRef struct {
	Env   string
	In    SecretSource
	Path  string
	Field string
}

// String says where the value is, for a person.
func (r SecretRef) String() string {
	at := "the Nomad variable " + r.Path
	if r.In == InVault {
		at = r.Path + " in Vault"
	}
	if r.Field == "" {
		return "every field of " + at
	}
	return r.Field + " of " + at
}

// Check judges what is sent to the template of the job file. The error is [fault.ErrInvalid] and names what is wrong.
func (r SecretRef) Check() error {
	bad := func(field, value, rule string) error {
		return fmt.Errorf("%s %q of the secret: %w: %s", field, value, fault.ErrInvalid, rule)
	}
	switch {
	case r.Env != "" && !secretEnv.MatchString(r.Env):
		return bad("environment variable", r.Env, "letters, digits and _, not beginning with a digit, such as HF_TOKEN")
	case r.In == InNomad && (!variablePath.MatchString(r.Path) || strings.Trim(r.Path, "/") != r.Path):
		return bad("path", r.Path, "1 to 128 of A-Z a-z 0-9 - _ ~ /, not at its ends, such as cotrain/hub")
	case r.In == InNomad && strings.HasPrefix(r.Path, "nomad/") && r.Path != "nomad/jobs" && !strings.HasPrefix(r.Path, "nomad/jobs/"):
		return bad("path", r.Path, "Nomad keeps what begins with nomad/ for itself, but for nomad/jobs; use a path such as cotrain/hub")
	case r.In == InVault && (!strings.Contains(strings.Trim(r.Path, "/"), "/") || len(r.Path) > MaxSecretPath || !plain(r.Path) || strings.Trim(r.Path, "/") != r.Path):
		return bad("path", r.Path, fmt.Sprintf("MOUNT/PATH of at most %d bytes, such as secret/cotrain/shared/hub", MaxSecretPath))
	case r.In != InNomad && r.In != InVault:
		return bad("source", string(r.In), "vault or nomad")
	case len(r.Field) > 128 || !plain(r.Field):
		return bad("field", r.Field, "at most 128 bytes of text in one line")
	}
	return nil
}

// plain reports whether s is valid text without control characters, which separate references from each other.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// SecretNames are the secrets that a run asks for.
type SecretNames []string

// UnmarshalJSON takes a list, and the path that runs had here before secrets were registered.
func (n *SecretNames) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*n = nil
		if one != "" {
			*n = SecretNames{one}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(n))
}
