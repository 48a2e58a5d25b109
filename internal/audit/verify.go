package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Link is an entry of a chain as it was read.
type Link struct {
	Seq  int64
	Prev *Hash // what it says that the hash before it is; nil where it says nothing
	Hash Hash
	Text []byte // canonical form
}

// Finding is what is wrong with a chain at one place.
type Finding struct {
	Seq  int64  `json:"seq"`  // of the first entry concerned; 0 if it has none
	Line int64  `json:"line"` // of the file, from 1; in a store the how manieth row
	What string `json:"what"`
}

// MaxProblems is how many problems a [Verifier] describes; the rest are counted.
const MaxProblems = 100

// Verifier verifies a chain, entry by entry. The zero Verifier begins before the first entry; see [Verifier.From].
type Verifier struct {
	// Partial allows gaps, as an export has that was filtered: each entry is verified with the hash that it says was before.
	Partial bool

	lines       int64
	begun       bool
	first, last int64
	before      Hash // the first
	hash        Hash // of the last
	explained   bool // why there is nothing before the first
	problems    []Finding
	count       int
}

// From makes the chain go on after an entry that was verified.
func (v *Verifier) From(seq int64, hash Hash) {
	v.Begin(seq, hash)
	v.explained = true
}

// Begin makes the chain begin after an entry that retention has removed, 0 for none.
func (v *Verifier) Begin(seq int64, hash Hash) {
	v.begun, v.first, v.last, v.before, v.hash, v.explained = true, seq+1, seq, hash, hash, seq == 0
}

// Add verifies the next entry.
func (v *Verifier) Add(l Link) {
	v.lines++
	switch {
	case !v.begun:
		v.begin(l)
	case l.Seq <= v.last:
		v.problem(l.Seq, "Entry %d comes after entry %d: it was inserted, or moved.", l.Seq, v.last)
	case l.Seq > v.last+1:
		if v.Partial {
			break
		}
		if l.Seq == v.last+2 {
			v.problem(v.last+1, "Entry %d is missing.", v.last+1)
		} else {
			v.problem(v.last+1, "Entries %d to %d are missing.", v.last+1, l.Seq-1)
		}
	case l.Prev != nil && *l.Prev != v.hash:
		v.problem(l.Seq, "Entry %d does not follow on this entry %d: one of them was replaced.", l.Seq, v.last)
	}
	prev := v.hash
	if l.Prev != nil {
		prev = *l.Prev
	}
	if known := l.Prev != nil || l.Seq == v.last+1; known && prev.Next(l.Text) != l.Hash {
		v.problem(l.Seq, "Entry %d was changed.", l.Seq)
	}
	if l.Seq > v.last {
		v.last, v.hash = l.Seq, l.Hash
	}
	v.explain(l)
}

func (v *Verifier) begin(l Link) {
	v.begun, v.first, v.last = true, l.Seq, l.Seq-1
	if l.Prev != nil {
		v.before = *l.Prev
	}
	v.hash = v.before
	if v.explained = l.Seq == 1; v.explained && v.before != (Hash{}) {
		v.problem(1, "Entry 1 is not the first of a chain.")
	}
}

// explain looks whether an entry says that retention removed what was before the first.
func (v *Verifier) explain(l Link) {
	if v.explained || !bytes.Contains(l.Text, []byte(`"action":"`+RetentionAction+`"`)) {
		return
	}
	var e struct {
		Action string `json:"action"`
		After  Cut    `json:"after"`
	}
	if json.Unmarshal(l.Text, &e) == nil && e.Action == RetentionAction && e.After.Through == v.first-1 && e.After.Hash == v.before.String() {
		v.explained = true
	}
}

// End verifies that the chain ends where it should.
func (v *Verifier) End(seq int64, hash Hash) {
	switch {
	case v.last < seq:
		v.problem(v.last+1, "Entries %d to %d are missing at the end.", v.last+1, seq)
	case v.last > seq:
		v.problem(seq+1, "Entries %d to %d are beyond the end of the log.", seq+1, v.last)
	case v.hash != hash:
		v.problem(seq, "Entry %d is not the one that the log ends with.", seq)
	}
	v.last, v.hash = seq, hash
}

// Expect compares an entry with the hash that is expected of its number, if one is, and takes that out.
func (v *Verifier) Expect(l Link, expected map[int64]Hash) {
	if hash, ok := expected[l.Seq]; ok {
		delete(expected, l.Seq)
		if hash != l.Hash {
			v.problem(l.Seq, "Entry %d has another hash than was expected: it, or one before it, was replaced.", l.Seq)
		}
	}
}

// Missing reports the entries that were expected and did not come.
func (v *Verifier) Missing(expected map[int64]Hash) {
	for _, seq := range slices.Sorted(maps.Keys(expected)) {
		v.problem(seq, "Entry %d, which was expected, is missing.", seq)
	}
}

// Bad reports a line that is no entry.
func (v *Verifier) Bad() {
	v.lines++
	v.problem(0, "Line %d is no entry of an export.", v.lines)
}

func (v *Verifier) problem(seq int64, what string, args ...any) {
	v.count++
	if len(v.problems) < MaxProblems {
		v.problems = append(v.problems, Finding{Seq: seq, Line: v.lines, What: fmt.Sprintf(what, args...)})
	}
}

// Verdict is what a [Verifier] found.
type Verdict struct {
	Entries  int64     `json:"entries"`
	First    int64     `json:"first"`  // number of the first entry, 0 for none
	Last     int64     `json:"last"`   // number of the last entry
	Before   string    `json:"before"` // hash before the first entry
	Hash     string    `json:"hash"`   // of the last entry
	Problems []Finding `json:"problems,omitempty"`
	Count    int       `json:"problem_count"` // of all problems
}

// Findings says the first problem, and how many more there are.
func (v Verdict) Findings() string {
	if v.OK() {
		return ""
	}
	out := v.Problems[0].What
	if n := v.Count - 1; n > 0 {
		out += fmt.Sprintf(" And %d more.", n)
	}
	return out
}

// OK reports whether the chain is whole.
func (v Verdict) OK() bool { return v.Count == 0 }

// Verdict returns what was found so far.
func (v *Verifier) Verdict() Verdict {
	out := *v
	if out.begun && !out.explained && !out.Partial {
		out.lines, out.problems = 1, slices.Clone(v.problems)
		out.problem(out.first, "The log begins with entry %d, and no entry says that retention removed those before it.", out.first)
	}
	return Verdict{Entries: v.lines, First: out.first, Last: out.last, Before: out.before.String(), Hash: out.hash.String(), Problems: out.problems, Count: out.count}
}

// Where the parts of a line of an export are.
const (
	prevAt = len(`{"prev":"`)
	hashAt = prevAt + 2*len(Hash{}) + len(`","hash":"`)
	textAt = hashAt + 2*len(Hash{}) + len(`",`)
)

// AppendLine appends an entry as a line of an export, with its newline.
func AppendLine(b []byte, prev Hash, e Entry, hash Hash) []byte {
	b = append(append(b, `{"prev":"`...), prev.String()...)
	b = append(append(append(b, `","hash":"`...), hash.String()...), `",`...)
	at := len(b) // the line's own brace stands for that of the canonical form
	b = e.AppendCanonical(b)
	return append(append(b[:at], b[at+1:]...), '\n')
}

// ParseLine reads what AppendLine wrote, with or without its newline.
func ParseLine(line []byte) (l Link, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) <= textAt || string(line[:prevAt]) != `{"prev":"` || string(line[prevAt+64:hashAt]) != `","hash":"` || string(line[hashAt+64:textAt]) != `",` {
		return l, false
	}
	prev, ok := ParseHash(string(line[prevAt : prevAt+64]))
	if !ok {
		return l, false
	}
	if l.Hash, ok = ParseHash(string(line[hashAt : hashAt+64])); !ok {
		return l, false
	}
	l.Prev, l.Text = &prev, append([]byte("{"), line[textAt:]...)
	digits, found := bytes.CutPrefix(l.Text, []byte(`{"seq":`))
	comma := bytes.IndexByte(digits, ',')
	if !found || comma < 0 {
		return l, false
	}
	var err error
	l.Seq, err = strconv.ParseInt(string(digits[:comma]), 10, 64)
	return l, err == nil && l.Seq > 0
}

// AppendEntry appends an entry with its hash, as a JSON object: a line of an export without the hash before.
func AppendEntry(b []byte, r Row) []byte {
	b = append(append(append(b, `{"hash":"`...), r.Hash.String()...), `",`...)
	at := len(b)
	b = r.AppendCanonical(b)
	return append(b[:at], b[at+1:]...)
}
