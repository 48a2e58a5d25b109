package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/cotrain/cotrain/internal/fault"
)

// maxFile is in bytes.
const maxFile = 64 << 10

// loadFile reads the configuration file. Unknown keys are errors, or misspelt settings would be ignored.
func (l *loader) loadFile(name, source string, settings []Setting) {
	data, err := l.read(name)
	if err != nil {
		l.fail("", source, name, "names a file that cannot be read: "+reason(err), "correct the path or the file's mode")
		return
	}
	if len(data) > maxFile {
		l.fail("", source, name, fmt.Sprintf("names a file of more than %d bytes", maxFile), "check that it is the right file")
		return
	}
	values := map[string]any{}
	if _, err := toml.Decode(string(data), &values); err != nil {
		rule := fault.Quote(err.Error())
		var pe toml.ParseError
		if errors.As(err, &pe) {
			message, _, bare := strings.Cut(pe.Message, " but found ")
			if bare { // what is found may be a secret
				message += "; text needs quotes"
			}
			rule = fmt.Sprintf("line %d: %s", pe.Position.Line, fault.Quote(message))
		}
		l.fail("", source, name, "names a file that is not TOML: "+rule, "correct that line")
		return
	}
	flat := map[string]any{}
	flatten(flat, "", values, 0)
	for _, s := range settings {
		if s.Secret {
			l.setSecretFromFile(s, flat, name)
			continue
		}
		if value, set := flat[s.Key]; set {
			delete(flat, s.Key)
			l.setFromFile(s, value, name+": "+s.Key)
		}
	}
	unknown := make([]string, 0, len(flat))
	for key := range flat {
		unknown = append(unknown, key)
	}
	slices.Sort(unknown)
	for i, key := range unknown {
		if i == 20 {
			l.fail("", name, "", fmt.Sprintf("has %d more unknown keys", len(unknown)-i), "check that it is the right file")
			break
		}
		l.fail("", name+": "+key, "", unknownSetting, "remove it, or correct its name")
	}
}

const unknownSetting = "is not a setting of CoTrain"

// flatten turns tables into dotted keys, two levels deep; anything deeper is left to be reported as unknown.
func flatten(flat map[string]any, prefix string, values map[string]any, depth int) {
	for key, value := range values {
		if sub, ok := value.(map[string]any); ok && depth < 1 {
			flatten(flat, prefix+key+".", sub, depth+1)
			continue
		}
		flat[prefix+key] = value
	}
}

// setSecretFromFile sets a secret from the file of its own that the configuration file names, or from its value if it may
// stand here.
func (l *loader) setSecretFromFile(s Setting, flat map[string]any, name string) {
	source, fileSource := name+": "+s.Key, name+": "+s.Key+"_file"
	value, given := flat[s.Key]
	file, fileGiven := flat[s.Key+"_file"]
	delete(flat, s.Key)
	delete(flat, s.Key+"_file")
	text, isText := value.(string)
	path, isPath := file.(string)
	switch {
	case given && s.open == nil && !isRef(text):
		l.fail("", source, hiddenSecret, "is a secret, which does not belong in this file", "put it in a file of its own and name that with "+s.Key+"_file")
	case given && !isText:
		l.fail(s.Key, source, hiddenSecret, "must be text in quotes", "correct the value")
	case fileGiven && (!isPath || path == ""):
		l.fail(s.Key, fileSource, "", "must be the path of a file, in quotes", "correct the value")
	default:
		l.setSecretOrFile(s, l.opened(s, text, source), source, path, fileSource)
	}
}

func (l *loader) setFromFile(s Setting, value any, source string) {
	shown, ok := "", false
	switch v := value.(type) {
	case string:
		shown, ok = v, s.kind == text || s.kind == duration || isRef(v)
		if strings.TrimSpace(v) == "" && ok && s.Default != "" {
			l.fail(s.Key, source, v, "is empty", "use "+strconv.Quote(s.Default)+", or remove the line")
			return
		}
	case int64:
		shown, ok = strconv.FormatInt(v, 10), s.kind == number
	case bool:
		shown, ok = strconv.FormatBool(v), s.kind == boolean
	case []any:
		if texts, fits := stringList(v); fits && (s.kind == list || s.kind == command || s.kind == lines) {
			l.setTyped(s, texts, strings.Join(texts, ", "), source)
			return
		}
	}
	if !ok {
		l.fail(s.Key, source, shown, "must be "+s.kind.String(), "correct the value")
		return
	}
	l.setText(s, shown, source)
}

func stringList(values []any) ([]string, bool) {
	texts := make([]string, 0, len(values))
	for _, value := range values {
		s, ok := value.(string)
		if !ok {
			return nil, false
		}
		texts = append(texts, s)
	}
	return texts, true
}
