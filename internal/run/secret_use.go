package run

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// MaxSecrets is how many secrets a run may ask for.
const MaxSecrets = 20

// SecretsField is the field of a run that names its secrets.
const SecretsField = "secrets"

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

// Resolve finds what the names stand for among all registered secrets, for a run of a project with these environment variables of
// its own. What is wrong is one [FieldError] for each name.
func (n SecretNames) Resolve(project string, env map[string]string, all []Secret) (refs []SecretRef, errs FieldErrors) {
	wrong := func(name, rule, fix string) {
		name = fault.Quote(name)
		errs = append(errs, FieldError{Field: SecretsField, Value: name, Rule: "the secret " + name + " " + rule, Fix: fix})
	}
	by := map[string]string{} // name of the secret by environment variable
	for _, name := range n {
		i := slices.IndexFunc(all, func(s Secret) bool { return s.Name == name })
		switch {
		case i < 0:
			wrong(name, "is not registered", "remove it, or ask an administrator to register it")
			continue
		case !all[i].UsableBy(project):
			wrong(name, "is not for the project "+project, "remove it, or ask an administrator to allow it")
			continue
		}
		s := all[i]
		if _, own := env[s.Env]; own && s.Env != "" {
			wrong(name, "becomes "+s.Env+", which the environment of the run sets, too", "remove one of them")
		} else if other := by[s.Env]; other != "" && s.Env != "" {
			wrong(name, "becomes "+s.Env+", and so does "+other, "remove one of them")
		}
		by[s.Env] = name
		refs = append(refs, s.Ref())
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return refs, nil
}

// SecretNameProblem is what is wrong with the form of a name, and what would pass; "" for nothing.
func SecretNameProblem(name string) (rule, fix string) {
	switch {
	case CheckSecretName(name):
		return "", ""
	case strings.Contains(name, "/"):
		return "names " + fault.Quote(name) + ", which is a path: runs ask for registered secrets by name", "remove it, and ask an administrator to register that path as a secret"
	}
	return "has " + strconv.Quote(fault.Quote(name)) + ", which cannot be the name of a secret", "use names such as HF_TOKEN"
}

// NeedVault reports whether a node has to log in at Vault for one of them.
func NeedVault(refs []SecretRef) bool {
	return slices.ContainsFunc(refs, func(r SecretRef) bool { return r.In == InVault })
}

// SecretsWait is why a run waits whose secrets are not to be had; see [SecretNames.Resolve].
func SecretsWait(errs FieldErrors) string {
	said := make([]string, len(errs))
	for i, e := range errs {
		said[i] = e.Rule
	}
	return "waits: " + strings.Join(said, "; ")
}

// SecretState is whether a secret is where it is said to be.
type SecretState string

// The states.
const (
	SecretPresent   SecretState = "present"
	SecretMissing   SecretState = "missing"
	SecretForbidden SecretState = "forbidden" // the console may not look; whether the node may read it only the node can tell
	SecretUnknown   SecretState = "unknown"   // what holds it does not answer, or the console does not reach it
)

// SecretLook is what a dry run tells of a secret. Its value is never read.
type SecretLook struct {
	Name  string      `json:"name"`
	Env   string      `json:"env,omitempty"` // "" where each value has its own name
	Where string      `json:"where"`         // such as "token of secret/cotrain/shared/hub in Vault"
	State SecretState `json:"state"`
	Why   string      `json:"why,omitempty"`
	Fix   string      `json:"fix,omitempty"`
}

// SecretUses is what asks for a secret: runs that have not ended, and templates in their newest version.
type SecretUses struct {
	Runs      []SecretUse // the newest few
	Count     int         // of runs, among the newest thousand
	Templates []string    // as project/name@version
}

// SecretUse is a run that asks for a secret.
type SecretUse struct {
	ID      ID
	Name    string
	Project string
}
