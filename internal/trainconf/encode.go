package trainconf

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/run"
)

// MaxPayload is the largest TOML in bytes that can be dispatched: Nomad's limit for a dispatch payload.
const MaxPayload = 16384

// idLength is that of a run's ID, which [RunPlaceholder] becomes.
const idLength = len("r-0a1b2c3d4e")

// ValidatePayload checks that a configuration, as it would be sent, is not more than Nomad takes. [Config.Validate] does so
// for the canonical TOML; what is kept as it was written has comments too.
func ValidatePayload(text string) *run.FieldError {
	size := len(text) + strings.Count(text, RunPlaceholder)*(idLength-len(RunPlaceholder))
	if size <= MaxPayload {
		return nil
	}
	f := fieldError(FieldConfig, strconv.Itoa(size)+" bytes", fmt.Sprintf("must have at most %d bytes, the most that Nomad dispatches", MaxPayload),
		"shorten comments, or long values such as lists of datasets")

	return &f
}

// TOML writes the values that are set, in the order of the schema, so that equal configurations give equal bytes. The
// table [train] is always there, since the core does not start without it.
func (c Config) TOML() []byte {
	var b bytes.Buffer
	table := ""
	for i, text := range c.values {
		f := &schema[i]
		// [train] must stand even when nothing in it is set, and only its first field needs to see to that.
		if text == "" && f.Path != firstOfTrain {
			continue
		}
		if t := f.Table(); t != table {
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			b.WriteString("[" + t + "]\n")
			table = t
		}
		if text != "" {
			b.WriteString(f.Key())
			b.WriteString(" = ")
			f.writeTOML(&b, text)
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// firstOfTrain is the first field of the [train] table.
const firstOfTrain = "train.micro_bs"

// writeTOML writes a canonical text as a TOML value.
func (f *Field) writeTOML(b *bytes.Buffer, text string) {
	switch f.Type {
	case Int, Bool, IntOrBool:
		b.WriteString(text)
	case Float:
		b.WriteString(text)
		if !strings.ContainsAny(text, ".e") {
			b.WriteString(".0")
		}
	default:
		writeQuoted(b, text)
	}
}

// writeQuoted writes a TOML basic string. Values hold no control characters, but nothing here depends on that.
func writeQuoted(b *bytes.Buffer, text string) {
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
