package run

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// DuplicateKey returns the path of the first key that occurs twice in an object of a JSON text, such as "shape.nodes";
// the standard decoder silently keeps the last. A text that is not JSON has none.
func DuplicateKey(text []byte) (path string, found bool) {
	type level struct {
		seen map[string]bool // of an object
		key  string          // current key
		next int             // next array index
	}
	var stack []level
	place := func() string {
		var b strings.Builder
		for i, l := range stack {
			switch {
			case l.seen == nil:
				b.WriteString("[" + strconv.Itoa(l.next) + "]")
			case i > 0:
				b.WriteString("." + l.key)
			default:
				b.WriteString(l.key)
			}
		}
		return b.String()
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	key := false // expecting a key
	for {
		token, err := dec.Token()
		if err != nil {
			return "", false
		}
		top := len(stack) - 1
		name, isText := token.(string)
		switch {
		case token == json.Delim('{'):
			stack = append(stack, level{seen: map[string]bool{}})
			key = true
			continue
		case token == json.Delim('['):
			stack = append(stack, level{})
			key = false
			continue
		case token == json.Delim('}') || token == json.Delim(']'):
			stack = stack[:top]
			top--
		case isText && key:
			stack[top].key = name
			if stack[top].seen[name] {
				return place(), true
			}
			stack[top].seen[name] = true
			key = false
			continue
		}
		// End of a value.
		if top >= 0 {
			stack[top].next++
			key = stack[top].seen != nil
		}
	}
}
