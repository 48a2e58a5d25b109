package trainconf

import (
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Config is the set values of one configuration. It is a plain value: assignment copies it, == compares it, and the
// zero value sets nothing. Only [Config.Set] and [Parse] put values in, so each is of its field's type and range.
type Config struct {
	values [len(schema)]string // canonical texts in the order of the schema, "" for not set
}

// Set gives the field a value written as text; text that is empty or white space unsets it. Numbers may hold
// underscores, white space around the value and around list items is dropped, and Bool takes on/off and yes/no. The
// error is a [run.FieldError], and then nothing has changed.
func (c *Config) Set(path, text string) error {
	i, ok := schemaIndex[path]
	if !ok {
		return unknownPath(path, text, false)
	}
	canonical, err := schema[i].Check(text)
	if err != nil {
		return err
	}
	c.values[i] = canonical
	return nil
}

// Assign is Set for one argument of the form "optim.batch_size=64", as a command line has it.
func (c *Config) Assign(assignment string) error {
	path, text, found := strings.Cut(assignment, "=")
	if !found {
		return fieldError(strings.TrimSpace(assignment), "", "must be of the form field=value", "write optim.batch_size=64, for example")
	}
	return c.Set(strings.TrimSpace(path), text)
}

// UnsetTable unsets every field of a TOML table and of the tables within it: UnsetTable("diloco") turns DiLoCo off.
func (c *Config) UnsetTable(table string) {
	for i := range schema {
		if strings.HasPrefix(schema[i].Path, table+".") {
			c.values[i] = ""
		}
	}
}

// Get returns the canonical text of a value and whether it is set.
func (c Config) Get(path string) (text string, set bool) {
	if i, ok := schemaIndex[path]; ok {
		return c.values[i], c.values[i] != ""
	}
	return "", false
}

// Effective returns what the core will use: the value set, or else the default, or else "". It does not ask
// whether the field's table is in use; see [Config.DiLoCo].
func (c Config) Effective(path string) string {
	i, ok := schemaIndex[path]
	if !ok {
		return ""
	}
	if c.values[i] != "" {
		return c.values[i]
	}
	return c.Default(path)
}

// Default returns what the core uses when the field is not set. It depends on the configuration in one case: the
// weight decay of soap is not that of adam.
func (c Config) Default(path string) string {
	i, ok := schemaIndex[path]
	if !ok {
		return ""
	}
	if path == "optim.optim.weight_decay" && c.Effective("optim.optim.type") == "soap" {
		return soapWeightDecay
	}
	return schema[i].Default
}

// Changed reports whether the field is set to something else than its default.
func (c Config) Changed(path string) bool {
	text, set := c.Get(path)
	return set && text != c.Default(path)
}

// DiLoCo reports whether the configuration has the [diloco] table, that is, whether workers average.
func (c Config) DiLoCo() bool { return c.uses("diloco") }

// Paths lists the fields that are set, in the order of the TOML.
func (c Config) Paths() []string {
	var out []string
	for i, text := range c.values {
		if text != "" {
			out = append(out, schema[i].Path)
		}
	}
	return out
}

// Equal reports whether both set the same fields to the same values.
func (c Config) Equal(other Config) bool { return c == other }

// uses reports whether any field directly in the table is set.
func (c Config) uses(table string) bool {
	for i, text := range c.values {
		if text != "" && schema[i].Table() == table {
			return true
		}
	}
	return false
}

// has reports whether the field is set.
func (c Config) has(path string) bool {
	_, set := c.Get(path)
	return set
}

// number is the effective value of an Int field, 0 when it has none.
func (c Config) number(path string) int64 {
	n, _ := strconv.ParseInt(c.Effective(path), 10, 64) // canonical by construction; "" is 0
	return n
}

// float is the effective value of an Int or Float field, 0 when it has none.
func (c Config) float(path string) float64 {
	v, _ := strconv.ParseFloat(c.Effective(path), 64) // canonical by construction; "" is 0
	return v
}

// on reports whether the effective value of a Bool field is true.
func (c Config) on(path string) bool { return c.Effective(path) == "true" }

// unknownPath is the error for a key that the core does not have: with one the core does not start.
func unknownPath(path, value string, table bool) run.FieldError {
	if fault.NamesSecret(path) {
		value = fault.Hidden
	}
	if schemaTables[path] {
		return fieldError(path, value, "is a table, not a value", "set a field in it, such as "+firstIn(path))
	}
	rule, fix := "is not a setting that CotrainCore knows", "remove it"
	if near := nearestPath(path, table); near != "" {
		fix = "use " + near + ", or remove it"
		if f, _ := Lookup(near); f.Secret {
			value = fault.Hidden
		}
	}
	return fieldError(path, value, rule, fix)
}

// firstIn is the first field in a table or in one below it.
func firstIn(table string) string {
	for i := range schema {
		if strings.HasPrefix(schema[i].Path, table+".") {
			return schema[i].Path
		}
	}
	return ""
}
