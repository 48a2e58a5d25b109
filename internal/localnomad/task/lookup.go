package task

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/hashicorp/nomad/api"

	"github.com/cotrain/cotrain/internal/localnomad/state"
)

// serviceEntry is what nomadService yields, with consul-template's fields.
type serviceEntry struct {
	ID, Name, Node, Address    string
	Port                       int
	Tags                       []string
	JobID, AllocID, Datacenter string
}

// varItem is one value of nomadVar: text with its key at hand.
type varItem struct{ key, value string }

// String returns the value, so that {{ .password }} prints it.
func (v varItem) String() string { return v.value }

// Value returns the value.
func (v varItem) Value() string { return v.value }

// Key returns the key.
func (v varItem) Key() string { return v.key }

// funcs are the functions of consul-template that this agent knows; a template with another one fails its task.
func (l *lookups) funcs() template.FuncMap {
	return template.FuncMap{
		"env":            l.getenv,
		"nomadService":   l.service,
		"nomadVar":       l.variable,
		"nomadVarExists": func(path string) bool { return l.find(path) != nil },
		"contains":       func(item string, list []string) bool { return slices.Contains(list, item) },
		"toJSON":         toJSON,
		"regexMatch":     regexp.MatchString,
		"replaceAll":     func(from, to, s string) string { return strings.ReplaceAll(s, from, to) },
		"trimPrefix":     func(prefix, s string) string { return strings.TrimPrefix(s, prefix) },
		"secret":         func(...string) (any, error) { return nil, errNoVault },

		"sprig_splitList": func(sep, s string) []string { return strings.Split(s, sep) },
	}
}

func (l *lookups) getenv(k string) string {
	if v, ok := l.env.get(k); ok {
		return v
	}
	if hostEnvDenied(k) {
		return ""
	}
	return os.Getenv(k)
}

// errNoVault is what a template gets that reads from Vault.
var errNoVault = errors.New("Vault cluster \"default\" is disabled or not configured") //nolint:staticcheck // Nomad's text

// service takes a name, with or without @region.
func (l *lookups) service(name string) []serviceEntry {
	l.live = true
	name, _, _ = strings.Cut(name, "@")
	out := []serviceEntry{}
	l.store.View(func(t *state.Tables) {
		for _, r := range t.Named(name) {
			out = append(out, serviceEntry{
				ID: r.ID, Name: r.ServiceName, Node: r.NodeID, Address: r.Address, Port: r.Port, Tags: r.Tags,
				JobID: r.JobID, AllocID: r.AllocID, Datacenter: r.Datacenter,
			})
		}
	})
	return out
}

func (l *lookups) find(path string) (v *api.Variable) {
	l.live = true
	path, _, _ = strings.Cut(path, "@")
	l.store.View(func(t *state.Tables) { v = t.Vars[path] })
	return v
}

func (l *lookups) variable(path string) map[string]varItem {
	out := map[string]varItem{}
	v := l.find(path)
	if v == nil {
		l.missing = append(l.missing, fmt.Sprintf("nomad.var.block(%s@%s.%s)", path, api.DefaultNamespace, l.region))
		return out
	}
	for k, text := range v.Items {
		out[k] = varItem{k, text}
	}
	return out
}

func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
