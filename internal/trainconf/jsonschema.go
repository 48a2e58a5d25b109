package trainconf

import (
	"encoding/json"
	"strings"
)

// JSONSchema describes CotrainCore's TOML in JSON Schema 2020-12, for editors: types, ranges, choices, defaults, help, and the
// rules between fields that a schema can say. Editors that read TOML with taplo use it after a first line
// "#:schema FILE".
func JSONSchema() []byte {
	root := schemaTable("")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "CotrainCore configuration"
	root["description"] = "What CotrainCore reads with @config.toml. CoTrain checks more; see docs/configuration.md."
	root["required"] = []string{"train"} // the core does not start without it
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil { // maps of texts and numbers
		panic("trainconf: JSON schema: " + err.Error())
	}
	return append(out, '\n')
}

// schemaTable describes a table with all that is in it.
func schemaTable(table string) map[string]any {
	properties, required := map[string]any{}, []string{}
	for i := range schema {
		switch f := &schema[i]; {
		case f.Table() == table:
			properties[f.Key()] = f.schemaValue()
			if f.Required {
				required = append(required, f.Key())
			}
		case strings.HasPrefix(f.Path, prefixOf(table)):
			key, _, _ := strings.Cut(strings.TrimPrefix(f.Path, prefixOf(table)), ".")
			if properties[key] == nil {
				properties[key] = schemaTable(prefixOf(table) + key)
			}
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	if table == "ckpt" {
		out["dependentRequired"] = map[string][]string{"path": {"interval"}, "interval": {"path"}, "remote": {"path"}}
		loads := map[string]any{"properties": map[string]any{"remote_data_load": map[string]any{"const": true}}, "required": []string{"remote_data_load"}}
		out["if"] = loads
		out["then"] = map[string]any{"required": []string{"remote_data_path"}, "properties": map[string]any{"data_path": false}}
	}
	if table == "data" {
		out["dependentRequired"] = map[string][]string{"data_rank": {"data_world_size"}, "data_world_size": {"data_rank"}}
	}
	return out
}

// prefixOf is what the paths in a table begin with.
func prefixOf(table string) string {
	if table == "" {
		return ""
	}
	return table + "."
}

// schemaValue describes one field.
func (f Field) schemaValue() map[string]any {
	out := map[string]any{"title": f.Label, "description": f.described()}
	if f.Default != "" {
		out["default"] = f.jsonValue(f.Default)
	} else {
		out["examples"] = []any{f.jsonValue(f.Example())}
	}
	switch f.Type {
	case Choice:
		out["type"], out["enum"] = "string", f.Choices
	case Int:
		f.schemaNumber(out, "integer")
	case Float:
		f.schemaNumber(out, "number")
	case Bool:
		out["type"] = "boolean"
	case IntOrBool:
		number := map[string]any{}
		f.schemaNumber(number, "integer")
		out["anyOf"] = []any{map[string]any{"type": "boolean"}, number}
	case StringList:
		out["type"], out["pattern"] = "string", `^[^,\s]([^,]*[^,\s])?(,[^,\s]([^,]*[^,\s])?)*$`
	case Ratio:
		out["type"], out["pattern"] = "string", `^[0-9.eE+-]+(:[0-9.eE+-]+)*$`
	default:
		out["type"], out["pattern"] = "string", `^\S(.*\S)?$`
	}
	if out["type"] == "string" && f.Type != Choice {
		out["maxLength"] = maxText
	}
	if f.Secret {
		out["writeOnly"] = true
	}
	return out
}

// described is the help with what the other keywords do not say.
func (f Field) described() string {
	if f.Unit == "" {
		return f.Help
	}
	return f.Help + " In " + f.Unit + "."
}

func (f Field) schemaNumber(out map[string]any, kind string) {
	out["type"] = kind
	if f.Min != nil {
		out[pick(f.MinOpen, "exclusiveMinimum", "minimum")] = json.Number(plain(*f.Min))
	}
	if f.Max != nil {
		out[pick(f.MaxOpen, "exclusiveMaximum", "maximum")] = json.Number(plain(*f.Max))
	}
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// jsonValue is a canonical text as JSON has it.
func (f Field) jsonValue(text string) any {
	switch {
	case text == "true" || text == "false":
		if f.Type == Bool || f.Type == IntOrBool {
			return text == "true"
		}
	case f.Type == Int || f.Type == Float || f.Type == IntOrBool:
		return json.Number(text)
	}
	return text
}
