package audit

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Change is one field of what an entry tells, before and after; "" where there was none, or is none any more.
type Change struct{ Field, Before, After string }

// Changes returns what differs between an entry's Before and After, by field: options.tags of {"options":{"tags":[...]}}. What is
// no object is the field "".
func (e Entry) Changes() []Change {
	before, after := map[string]string{}, map[string]string{}
	flatten(e.Before, "", before)
	flatten(e.After, "", after)
	names := maps.Clone(before)
	maps.Copy(names, after)
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if before[name] != after[name] {
			out = append(out, Change{name, before[name], after[name]})
		}
	}
	return out
}

func flatten(value json.RawMessage, name string, into map[string]string) {
	if len(value) == 0 {
		return
	}
	var members map[string]json.RawMessage
	if value[0] == '{' && json.Unmarshal(value, &members) == nil {
		for key, member := range members {
			if name != "" {
				key = name + "." + key
			}
			flatten(member, key, into)
		}
		return
	}
	var text string
	if json.Unmarshal(value, &text) == nil && !bytes.Equal(value, []byte("null")) {
		into[name] = text
		return
	}
	into[name] = string(value)
}
