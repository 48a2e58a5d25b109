package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// Hash is the hash of an entry and of all before it. The zero Hash is that before the first.
type Hash [sha256.Size]byte

// String is in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String writes.
func ParseHash(s string) (h Hash, ok bool) {
	n, err := hex.Decode(h[:], []byte(s[:min(len(s), 2*len(h))]))
	return h, err == nil && n == len(h) && len(s) == 2*len(h)
}

// Next returns the hash of an entry, given in its canonical form, after this one.
func (h Hash) Next(canonical []byte) (next Hash) {
	d := sha256.New()
	d.Write(h[:])
	d.Write(canonical)
	d.Sum(next[:0])
	return next
}

// timeForm is RFC 3339 with milliseconds, in UTC.
const timeForm = "2006-01-02T15:04:05.000Z"

// AppendCanonical appends the canonical form of an entry, which is [Entry.Clean].
func (e Entry) AppendCanonical(b []byte) []byte {
	b = append(append(b, `{"seq":`...), strconv.FormatInt(e.Seq, 10)...)
	b = appendTime(append(b, `,"at":`...), e.At)
	b = appendTime(append(b, `,"logged":`...), e.Logged)
	b = append(b, `,"actor":{`...)
	a, at := e.Actor, len(b)
	for _, m := range [...]struct{ name, value string }{
		{"user", string(a.User)}, {"name", a.Name}, {"token", string(a.Token)}, {"session", a.Session}, {"address", a.Address}, {"agent", a.Agent},
	} {
		if m.value != "" {
			if len(b) > at {
				b = append(b, ',')
			}
			b = appendString(append(append(append(b, '"'), m.name...), `":`...), m.value)
		}
	}
	b = append(b, '}')
	for _, m := range [...]struct{ name, value string }{
		{"request", e.Request}, {"action", e.Action}, {"project", e.Project}, {"subject", e.Subject}, {"outcome", string(e.Outcome)}, {"reason", e.Reason},
	} {
		if m.value != "" {
			b = appendString(append(append(append(b, `,"`...), m.name...), `":`...), m.value)
		}
	}
	if len(e.Before) > 0 {
		b = append(append(b, `,"before":`...), e.Before...)
	}
	if len(e.After) > 0 {
		b = append(append(b, `,"after":`...), e.After...)
	}
	return append(b, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), timeForm), '"')
}

func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
