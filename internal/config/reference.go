package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
)

// refPrefix begins a value that is elsewhere; see package vault.
const refPrefix = "vault:"

func isRef(value string) bool { return strings.HasPrefix(strings.TrimSpace(value), refPrefix) }

// Reference is a setting whose value is in Vault.
type Reference struct {
	Key string // of the setting
	Ref string // vault:<mount>/<path>#<field>
}

// pending is a reference that is not resolved.
type pending struct {
	setting     Setting
	ref, source string
}

// refer notes a reference, which wins over what was set before it.
func (l *loader) refer(s Setting, value, source string) {
	value = strings.TrimSpace(value)
	l.from[s.Key] = origin{source, value}
	if strings.HasPrefix(s.Key, "vault.") {
		l.fail(s.Key, source, value, "says how to reach Vault, and cannot be there itself", "give the value, or a file with it")
		return
	}
	l.refs[s.Key] = pending{s, value, source}
}

// References are the settings whose values are in Vault, by key. With any, [Config.Resolve] makes the configuration whole.
func (c Config) References() []Reference {
	if c.unresolved == nil {
		return nil
	}
	var out []Reference
	for _, key := range slices.Sorted(maps.Keys(c.unresolved.refs)) {
		out = append(out, Reference{key, c.unresolved.refs[key].ref})
	}
	return out
}

// Resolve returns the configuration with the values of its references, which get returns. Errors are as those of [Load], and
// tell no value.
func (c Config) Resolve(get func(Reference) (string, error)) (Config, error) {
	if c.unresolved == nil {
		return c, nil
	}
	l := *c.unresolved
	l.errs, l.nomadErrs = nil, nil
	for _, r := range c.References() {
		p := l.refs[r.Key]
		value, err := get(r)
		if err != nil {
			told := fault.Of(err)
			l.fail(r.Key, p.source, p.ref, "cannot be read from Vault: "+strings.TrimSuffix(lower(told.What), "."), lower(strings.TrimSuffix(told.Fix, ".")))
			continue
		}
		typed, bad := p.setting.kind.parse(value)
		if bad == nil && strings.TrimSpace(value) == "" {
			bad = broken("is empty", "store a value there")
		}
		if bad == nil && p.setting.Secret {
			bad = line(strings.TrimSpace(value))
		}
		if bad == nil {
			bad = p.setting.set(&l.cfg, typed)
		}
		if bad != nil {
			l.fail(r.Key, p.source, p.ref, "has a value there that "+bad.rule, bad.fix)
		}
	}
	return l.finish()
}

// lower begins a sentence in the middle of another.
func lower(s string) string {
	if strings.HasPrefix(s, "Vault") || s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
