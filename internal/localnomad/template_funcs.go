package localnomad

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/hashicorp/nomad/api"
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
		"env":            func(k string) string { return l.getenv(k) },
		"mustEnv":        l.mustEnv,
		"envOrDefault":   func(k, d string) string { return cmp.Or(l.getenv(k), d) },
		"nomadService":   l.service,
		"nomadServices":  l.services,
		"nomadVar":       l.variable,
		"nomadVarExists": l.variableExists,
		"keyOrDefault":   func(_, d string) string { return d }, // no Consul: never there
		"contains":       containsItem,
		"in":             func(list, item any) (bool, error) { return containsItem(item, list) },
		"join":           func(sep string, list []string) string { return strings.Join(list, sep) },
		"split":          func(sep, text string) []string { return splitText(text, sep) },
		"toJSON":         toJSON,
		"toLower":        strings.ToLower,
		"toUpper":        strings.ToUpper,
		"trimSpace":      strings.TrimSpace,
		"trim":           func(cut, text string) string { return strings.Trim(text, cut) },
		"trimPrefix":     func(p, text string) string { return strings.TrimPrefix(text, p) },
		"trimSuffix":     func(p, text string) string { return strings.TrimSuffix(text, p) },
		"replaceAll":     func(from, to, text string) string { return strings.ReplaceAll(text, from, to) },
		"parseInt":       func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) },
		"parseBool":      strconv.ParseBool,
		"base64Encode":   func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64Decode":   decodeBase64,
		"sha256Hex":      func(text string) string { h := sha256.Sum256([]byte(text)); return hex.EncodeToString(h[:]) },
		"add":            func(b, a int) int { return a + b },
		"subtract":       func(b, a int) int { return a - b },
		"multiply":       func(b, a int) int { return a * b },
		"loop":           loop,
		"containsAny": func(want, have []string) bool {
			return slices.ContainsFunc(want, func(w string) bool { return slices.Contains(have, w) })
		},
		"regexMatch": func(re, text string) bool { return patternMatches(text, re) },
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

func (l *lookups) mustEnv(k string) (string, error) {
	v := l.getenv(k)
	if v == "" {
		return "", fmt.Errorf("missing required environment variable: %s", k)
	}
	return v, nil
}

// service takes a name, or a count, a key and a name: then it picks that many
// instances, the same ones for the same key while they are there.
func (l *lookups) service(args ...any) ([]serviceEntry, error) {
	l.live = true
	switch len(args) {
	case 1:
		name, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("nomadService: the name is no text")
		}
		return l.entries(name), nil
	case 3:
		n, err := strconv.Atoi(fmt.Sprint(args[0]))
		key, name := fmt.Sprint(args[1]), fmt.Sprint(args[2])
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("nomadService: the count must be a positive number")
		}
		found := l.entries(name)
		slices.SortFunc(found, func(a, b serviceEntry) int {
			return cmp.Or(cmp.Compare(rendezvous(key, b.ID), rendezvous(key, a.ID)), cmp.Compare(a.ID, b.ID))
		})
		return found[:min(n, len(found))], nil
	}
	return nil, fmt.Errorf("nomadService: expected arguments 1 or 3 but got %d", len(args))
}

// rendezvous is the weight of an instance for a key (highest random weight).
func rendezvous(key, id string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(key + "\x00" + id)) // never fails
	return h.Sum64()
}

func (l *lookups) entries(name string) []serviceEntry {
	name, _, _ = strings.Cut(name, "@")
	out := []serviceEntry{}
	l.s.st.view(func() {
		for _, r := range l.s.st.servicesNamed(name) {
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
	out := []serviceName{}
	l.s.st.view(func() {
		for _, stub := range l.s.st.serviceTags() {
			out = append(out, serviceName{stub.ServiceName, stub.Tags})
		}
	})
	return out
}

func (l *lookups) find(path string) *api.Variable {
	l.live = true
	path, _, _ = strings.Cut(path, "@")
	var v *api.Variable
	l.s.st.view(func() { v = l.s.st.vars[path] })
	return v
}

func (l *lookups) variable(path string) map[string]varItem {
	v := l.find(path)
	if v == nil {
		l.missing = append(l.missing, fmt.Sprintf("nomad.var.block(%s@%s.%s)", path, defaultNamespace, l.s.opts.Region))
		return map[string]varItem{}
	}
	out := map[string]varItem{}
	for k, text := range v.Items {
		out[k] = varItem{k, text}
	}
	return out
}

func (l *lookups) variableExists(path string) bool { return l.find(path) != nil }

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

func splitText(text, sep string) []string {
	text = strings.TrimSpace(text)
	if text == "" {
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

// loop counts: to n, or from a to b, the end not included.
func loop(bounds ...int) ([]int, error) {
	from, to := 0, 0
	switch len(bounds) {
	case 1:
		to = bounds[0]
	case 2:
		from, to = bounds[0], bounds[1]
	default:
		return nil, fmt.Errorf("loop: expected 1 or 2 arguments, got %d", len(bounds))
	}
	if to-from > 1_000_000 {
		return nil, fmt.Errorf("loop: too many steps")
	}
	var out []int
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out, nil
}
