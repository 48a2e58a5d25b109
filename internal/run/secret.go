package run

import (
	"errors"
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
	MaxSecretPath  = 512
	MaxSecretField = 128
	MaxSecretNote  = 500
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

// CheckSecretName reports whether a secret can have the name.
func CheckSecretName(name string) bool { return secretName.MatchString(name) }

// UsableBy reports whether runs of the project may have the secret.
func (s Secret) UsableBy(project string) bool {
	return len(s.Projects) == 0 || slices.Contains(s.Projects, project)
}

// Ref is what a dispatch says of the secret.
func (s Secret) Ref() SecretRef { return SecretRef{Env: s.Env, In: s.In, Path: s.Path, Field: s.Field} }

// Check judges a secret that is to be registered. The error is [FieldErrors].
func (s Secret) Check() error {
	var errs FieldErrors
	if !CheckSecretName(s.Name) {
		errs = append(errs, secretError("name", s.Name, "must be 1 to 64 letters, digits and . _ -, beginning with a letter or a digit", "use HF_TOKEN, for example"))
	}
	if len(s.Note) > MaxSecretNote || !utf8.ValidString(s.Note) || strings.ContainsFunc(s.Note, fault.Unseen) {
		errs = append(errs, secretError("note", fault.Clip(s.Note, 40), fmt.Sprintf("must be one line of at most %d bytes", MaxSecretNote), "shorten it"))
	}
	switch {
	case s.Env == "" && s.Field != "":
		errs = append(errs, secretError("env", "", "is needed with a field", "use HF_TOKEN, for example"))
	case s.Env != "" && s.Field == "":
		errs = append(errs, secretError("field", "", "is needed with an environment variable", "name the field with the value, or leave both out: then each field becomes a variable of its own name"))
	}
	return errs.or(s.Ref().Check())
}

// or is the errors with those of another check, nil for none.
func (e FieldErrors) or(err error) error {
	var more FieldErrors
	if errors.As(err, &more) {
		e = append(e, more...)
	}
	if len(e) == 0 {
		return nil
	}
	return e
}

func secretError(field, value, rule, fix string) FieldError {
	return FieldError{Field: field, Value: fault.Quote(value), Rule: rule, Fix: fix}
}

// SecretRef is a secret as a dispatch carries it to the node.
type SecretRef struct {
	Env   string       `json:"env,omitempty"`
	In    SecretSource `json:"in"`
	Path  string       `json:"path"`
	Field string       `json:"field,omitempty"`
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

// Check judges what is sent to the template of the job file. The error is [FieldErrors].
func (r SecretRef) Check() error {
	var errs FieldErrors
	if r.Env != "" && !secretEnv.MatchString(r.Env) {
		errs = append(errs, secretError("env", r.Env, "must be letters, digits and _, not beginning with a digit", "use HF_TOKEN, for example"))
	}
	whole := !slices.ContainsFunc(strings.Split(r.Path, "/"), func(part string) bool { return part == "" || part == "." || part == ".." })
	switch {
	case r.In == InNomad && (!variablePath.MatchString(r.Path) || !whole):
		errs = append(errs, secretError("path", r.Path, "must be 1 to 128 of A-Z a-z 0-9 - _ ~, with single / between them", "use cotrain/hub, for example"))
	case r.In == InNomad && strings.HasPrefix(r.Path, "nomad/") && r.Path != "nomad/jobs" && !strings.HasPrefix(r.Path, "nomad/jobs/"):
		errs = append(errs, secretError("path", r.Path, "begins with nomad/, which Nomad keeps for itself, but for nomad/jobs", "use cotrain/hub, for example"))
	case r.In == InVault && (!strings.Contains(r.Path, "/") || len(r.Path) > MaxSecretPath || !plain(r.Path) || !whole):
		errs = append(errs, secretError("path", r.Path, fmt.Sprintf("must be MOUNT/PATH of at most %d bytes, with single / between its parts", MaxSecretPath), "use secret/cotrain/shared/hub, for example"))
	case r.In != InNomad && r.In != InVault:
		errs = append(errs, secretError("in", string(r.In), "must be vault or nomad", "use one of them"))
	}
	if len(r.Field) > MaxSecretField || !plain(r.Field) {
		errs = append(errs, secretError("field", r.Field, fmt.Sprintf("must be at most %d bytes of text in one line", MaxSecretField), "use the name that the value has there"))
	}
	return errs.or(nil)
}

// plain reports whether s is valid text without control characters, which separate references from each other.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
}
