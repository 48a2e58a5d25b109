package nomad

import (
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

//go:embed agent policies vault consul *.hcl
var files embed.FS

// Values are what placeholders stand for: text, numbers, truth values or lists of texts.
type Values map[string]any

// placeholder is ${name}; templatefile would take $${ and %{ for something else, so that the files have none.
var placeholder = regexp.MustCompile(`\$\{([a-z_]+)\}`)

// Fill returns a file, such as "policies/console.hcl", with its placeholders filled. A value between quotes must be text that needs no
// escaping. Values that the file does not name are not an error.
func Fill(name string, values Values) (string, error) {
	text, err := files.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("fill %s: %w", name, err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		filled, err := fillLine(line, values)
		if err != nil {
			return "", fmt.Errorf("fill %s: %w", name, err)
		}
		out.WriteString(filled)
	}
	return out.String(), nil
}

func fillLine(line string, values Values) (string, error) {
	var out strings.Builder
	end := 0
	for _, at := range placeholder.FindAllStringSubmatchIndex(line, -1) {
		name := line[at[2]:at[3]]
		value, ok := values[name]
		if !ok {
			return "", fmt.Errorf("no value for %s", name)
		}
		out.WriteString(line[end:at[0]])
		end = at[1]
		before := strings.ReplaceAll(line[:at[0]], `\"`, "")
		text, isText := value.(string)
		switch {
		case strings.Count(before, `"`)%2 == 0:
			b, err := json.Marshal(value)
			if err != nil {
				return "", fmt.Errorf("value of %s: %w", name, err)
			}
			out.Write(b)
		case !isText || strings.ContainsAny(text, "\"\\\n\r") || strings.Contains(text, "${") || strings.Contains(text, "%{"):
			return "", fmt.Errorf("%s is %q, which cannot stand between quotes", name, fmt.Sprint(value))
		default:
			out.WriteString(text)
		}
	}
	out.WriteString(line[end:])
	return out.String(), nil
}
