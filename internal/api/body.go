package api

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// strictCase makes huma take the names of fields only as they are documented. It is a setting of the package, so it is made
// once.
var strictCase = sync.OnceFunc(func() { huma.ValidateStrictCasing = true })

// bodyFault is something wrong with a body. huma keeps only the text of an error, so that holds all of it.
type bodyFault client.FieldProblem

// bodyMark begins the text of a bodyFault.
const bodyMark = "cotrain:body:"

// Error is for huma; see [fieldProblem].
func (f *bodyFault) Error() string {
	b, err := json.Marshal(f)
	if err != nil { // texts
		return bodyMark + "{}"
	}
	return bodyMark + string(b)
}

// decodeBody decodes every body, which huma has done twice: into an any, when an error is one of JSON, and into what the
// handler takes, when it is one of the request.
func decodeBody(body []byte, into any) error {
	if _, first := into.(*any); !first {
		if !utf8.Valid(body) {
			return &bodyFault{Location: "body", Rule: "must be UTF-8 text", Fix: "encode the body as UTF-8"}
		}
		if key, found := run.DuplicateKey(body); found {
			return &bodyFault{Location: "body", Field: fault.Quote(key), Rule: "is given twice", Fix: "give it once"}
		}
	}
	err := json.Unmarshal(body, into)
	if parsed, first := into.(*any); first {
		*parsed = withoutDots(*parsed)
		return err
	}
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return err
	}
	// What the schema lets through, such as 1e2 for a whole number. Embedded structs are no part of a field's name.
	path := slices.DeleteFunc(strings.Split(kind.Field, "."), func(part string) bool {
		return strings.ContainsFunc(part[:min(1, len(part))], unicode.IsUpper)
	})
	field, value := strings.Join(path, "."), strings.TrimPrefix(kind.Value, "number ")
	f := ofField(client.FieldProblem{Location: "body", Field: fault.Quote(field), Value: fault.Quote(value), Rule: "must be a whole number", Fix: "write it with digits alone"}, value)
	if strings.ContainsAny(value, ".eE") {
		f.Rule += ", written without an exponent or a point"
	}
	return (*bodyFault)(&f)
}

// dotSign stands for a dot in a key, such as optim.batch_size in set. huma counts dots to find its way back from a key to
// the object that it is in, and would name another field.
const dotSign = "\uE000"

// withoutDots replaces the dots in all keys.
func withoutDots(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutDots(v[i])
		}
	case map[string]any:
		for key, value := range v {
			value = withoutDots(value)
			if strings.Contains(key, ".") {
				delete(v, key)
				key = strings.ReplaceAll(key, ".", dotSign)
			}
			v[key] = value
		}
	}
	return v
}

// ofField says what a field of a run accepts, where the last name of a field's path is one of them, and what would pass.
func ofField(p client.FieldProblem, value string) client.FieldProblem {
	spec, ok := trainconf.Lookup(p.Field[strings.LastIndexByte(p.Field, '.')+1:])
	if !ok || spec.Type != trainconf.Int && spec.Type != trainconf.Duration || trainconf.EnvName(spec.Path) != "" {
		return p
	}
	p.Rule, p.Fix = "must be "+spec.Rule(), "use "+spec.Example()
	if spec.Type == trainconf.Duration {
		p.Rule += ", or whole seconds"
	}
	canonical, err := spec.Check(value)
	var bad run.FieldError
	switch {
	case errors.As(err, &bad):
		p.Fix = bad.Fix
	case canonical != "" && spec.Type == trainconf.Int:
		p.Fix = "use " + canonical
	}
	return p
}

// plainRules says in words what huma says of a value.
var plainRules = [...]struct {
	said  *regexp.Regexp
	plain string
}{
	{regexp.MustCompile(`^(?:expected|invalid) integer$`), "must be a whole number"},
	{regexp.MustCompile(`^(?:expected|invalid) (?:number|float)$`), "must be a number"},
	{regexp.MustCompile(`^(?:expected|invalid) boolean$`), "must be true or false"},
	{regexp.MustCompile(`^expected string$`), "must be text"},
	{regexp.MustCompile(`^expected array$`), "must be a list"},
	{regexp.MustCompile(`^expected object$`), "must be an object"},
	{regexp.MustCompile(`^expected number >= (.*)$`), "must be at least $1"},
	{regexp.MustCompile(`^expected number <= (.*)$`), "must be at most $1"},
	{regexp.MustCompile(`^expected length <= (.*)$`), "must have at most $1 characters"},
	{regexp.MustCompile(`^expected array length <= (.*)$`), "must have at most $1 items"},
	{regexp.MustCompile(`^expected object with at most (.*) properties$`), "must have at most $1 fields"},
	{regexp.MustCompile(`^expected value to be one of "(.*)"$`), "must be one of $1"},
	{regexp.MustCompile(`^expected required property (.*) to be present$`), "must have the field $1"},
	{regexp.MustCompile(`^required (?:query|header|path) parameter is missing$`), "must be given"},
	{regexp.MustCompile(`^unexpected property$`), "is not a field"},
	{regexp.MustCompile(`^unknown query parameter$`), "is not a parameter"},
}

// fieldProblem says in words what huma says, which does not tell the values of parameters that it does not know.
func fieldProblem(e *huma.ErrorDetail, parameter func(name string) string) client.FieldProblem {
	var own client.FieldProblem
	if rest, ok := strings.CutPrefix(e.Message, bodyMark); ok && json.Unmarshal([]byte(rest), &own) == nil {
		return own
	}
	location, field, _ := strings.Cut(strings.ReplaceAll(e.Location, dotSign, "."), ".")
	f := client.FieldProblem{Location: fault.Quote(location), Field: fault.Quote(field), Rule: fault.Quote(e.Message), Fix: "see " + documentPath}
	given := e.Value
	if inside, ok := given.(map[string]any); ok && e.Message == validation.MsgUnexpectedProperty { // the object that has it
		given = inside[e.Location[strings.LastIndexByte(e.Location, '.')+1:]]
	}
	if location == "query" && given == "" {
		given = parameter(field)
	}
	value, isText := given.(string)
	if given != nil && !isText {
		b, err := json.Marshal(given)
		if err == nil { // it came from JSON
			value = string(b)
		}
	}
	f.Value = fault.Quote(strings.ReplaceAll(value, dotSign, "."))
	if fault.NamesSecret(field) || fault.NamesSecret(value) { // of what is no JSON, value is the whole body
		value, f.Value = "", fault.Hidden
	}
	for _, r := range plainRules {
		if r.said.MatchString(f.Rule) {
			f.Rule = r.said.ReplaceAllString(f.Rule, r.plain)
			break
		}
	}
	switch {
	case strings.HasPrefix(f.Rule, "is not a "):
		f.Fix = "remove it, or correct its name"
		if lower := strings.ToLower(field); lower != field {
			f.Fix = "remove it, or correct its name: case matters"
		}
	case f.Rule == "must be text":
		f.Fix = "write it in quotes"
	case location == "body":
		f = ofField(f, value)
		if isText && f.Fix != "see "+documentPath {
			f.Rule += ", not text"
		}
	}
	return f
}
