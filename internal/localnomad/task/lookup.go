package task

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
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

// serviceName is what nomadServices yields.
type serviceName struct {
	Name string
	Tags []string
}

// varItem is one value of nomadVar: text with its key at hand.
type varItem struct{ key, value string }

// String returns the value, so that {{ .password }} prints it.
func (v varItem) String() string { return v.value }

// Value returns the value.
func (v varItem) Value() string { return v.value }

// Key returns the key.
func (v varItem) Key() string { return v.key }

// funcs is the part of consul-template's functions that this agent knows.
func (l *lookups) funcs() template.FuncMap {
	return template.FuncMap{
		"env":            l.getenv,
		"envOrDefault":   func(k, d string) string { return cmp.Or(l.getenv(k), d) },
		"nomadService":   l.service,
		"nomadServices":  l.services,
		"nomadVar":       l.variable,
		"nomadVarExists": func(path string) bool { return l.find(path) != nil },
		"contains":       containsItem,
		"in":             func(list, item any) (bool, error) { return containsItem(item, list) },
		"join":           func(sep string, list []string) string { return strings.Join(list, sep) },
		"split":          splitText,
		"toJSON":         toJSON,
		"toLower":        strings.ToLower,
		"toUpper":        strings.ToUpper,
		"trimSpace":      strings.TrimSpace,
		"trimPrefix":     func(prefix, text string) string { return strings.TrimPrefix(text, prefix) },
		"trimSuffix":     func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
		"replaceAll":     func(from, to, text string) string { return strings.ReplaceAll(text, from, to) },
		"parseBool":      strconv.ParseBool,
		"parseInt":       func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) },
		"base64Encode":   func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64Decode":   decodeBase64,
		"add":            func(b, a int) int { return a + b },
		"subtract":       func(b, a int) int { return a - b },
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

func (l *lookups) services() []serviceName {
	l.live = true
	tags := map[string][]string{}
	l.store.View(func(t *state.Tables) {
		for _, r := range t.Services {
			tags[r.ServiceName] = append(tags[r.ServiceName], r.Tags...)
		}
	})
	out := []serviceName{}
	for _, name := range state.Keys(tags, "") {
		slices.Sort(tags[name])
		out = append(out, serviceName{name, slices.Compact(tags[name])})
	}
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

// containsItem reports whether a list, a map's keys or a text holds an item.
func containsItem(item, list any) (bool, error) {
	v := reflect.ValueOf(list)
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if reflect.DeepEqual(v.Index(i).Interface(), item) {
				return true, nil
			}
		}
		return false, nil
	case reflect.Map:
		k := reflect.ValueOf(item)
		return k.IsValid() && k.Type().AssignableTo(v.Type().Key()) && v.MapIndex(k).IsValid(), nil
	case reflect.String:
		return strings.Contains(v.String(), fmt.Sprint(item)), nil
	case reflect.Invalid:
		return false, nil
	}
	return false, fmt.Errorf("contains: %T is no list", list)
}

func splitText(sep, text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return []string{}
	}
	return strings.Split(text, sep)
}

func toJSON(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}

func decodeBase64(text string) (string, error) {
	out, err := base64.StdEncoding.DecodeString(text)
	return string(out), err
}
