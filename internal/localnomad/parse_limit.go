package localnomad

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// What reading one job file may take. A real agent has no such limits: whoever may submit jobs can keep it busy. This one
// shares a process with the console. They are far above what any real file needs.
const (
	// maxSource bounds the job file, and the text of variables, in bytes: the most that a real agent keeps of a job's source
	// unless told otherwise (server.job_max_source_size, "1M").
	maxSource = 1_000_000
	// maxNesting bounds how deep brackets, templates and operators stand within each other: HCL recurses as deep as its input.
	maxNesting = 500
	// maxValues bounds the values that all expressions together make, counted with what they hold each time one is evaluated.
	maxValues = 500_000
	// maxText bounds the text in those values, in bytes.
	maxText = 32 << 20
	// maxElements bounds one list, map or object. HCL compares each element with each other to find a type for them all.
	maxElements = 2048
	// maxReadText bounds what a function that reads a text (JSON, CSV, a number, a regular expression) is given, in bytes.
	maxReadText = 256 << 10
	// maxYAMLAliases bounds the aliases in a text of YAML, each of which repeats what may hold aliases again.
	maxYAMLAliases = 20
	// maxBcryptCost bounds what one call of bcrypt takes to a quarter of a second.
	maxBcryptCost = 12
	// maxRSA bounds a key and what it decrypts, in bytes: a key of 8192 bits has 6.4 kB.
	maxRSA = 8 << 10
	// maxNumberBits bounds the magnitude and the precision of numbers: HCL's grow without end.
	maxNumberBits = 1 << 14
	// maxMoved bounds the bytes that HCL moves about while it puts a template together from its lines, which is quadratic: with
	// this it takes about a second. A script of 10 000 lines and 500 kB is within it.
	maxMoved = 8 << 30
	// blockCost is what a block counts as, in values: it becomes a struct with many fields.
	blockCost = 50
	// parseTimeout bounds the time that a request may take.
	parseTimeout = 10 * time.Second
)

// limitError says which limit a job file breaks.
type limitError string

func (e limitError) Error() string { return string(e) + ", the limit of this agent" }

func limitf(format string, args ...any) error { return limitError(fmt.Sprintf(format, args...)) }

// meter counts what the expressions of one job file make. Once a limit is broken everything after it fails too, so that
// no function such as try can hide it.
type meter struct {
	ctx    context.Context
	values int
	text   int
	err    error // the limit that is broken, or nil
}

// diags is the broken limit as HCL reports errors.
func (m *meter) diags(at hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Too much to evaluate", Detail: m.err.Error(), Subject: &at}}
}

// spend counts values, and looks at the time.
func (m *meter) spend(values int) error {
	if m.values += values; m.err == nil && m.values > maxValues {
		m.err = limitf("its expressions make more than %d values", maxValues)
	}
	if m.err == nil && m.ctx.Err() != nil {
		m.err = m.ctx.Err()
		if errors.Is(m.err, context.DeadlineExceeded) {
			m.err = limitf("it takes longer than %s to evaluate", parseTimeout)
		}
	}
	return m.err
}

// room counts text that is about to be made.
func (m *meter) room(bytes int) error {
	if bytes < 0 || bytes > maxText || m.text+bytes > maxText {
		m.err = limitf("its expressions make more than %d MiB of text", maxText>>20)
	}
	m.text += min(max(bytes, 0), maxText)
	return m.err
}

// count counts a value and all that it holds.
func (m *meter) count(v cty.Value) error {
	if err := m.spend(1); err != nil || v.IsNull() || !v.IsKnown() {
		return err
	}
	switch t := v.Type(); {
	case t == cty.String:
		return m.room(len(v.AsString()))
	case t == cty.Number:
		return m.number(v.AsBigFloat())
	case !v.CanIterateElements():
		return nil
	}
	n := 0
	for it := v.ElementIterator(); it.Next(); {
		if n++; n > maxElements {
			m.err = limitf("a list, map or object has more than %d elements", maxElements)
			return m.err
		}
		key, element := it.Element()
		if key.Type() == cty.String {
			if err := m.room(len(key.AsString())); err != nil {
				return err
			}
		}
		if err := m.count(element); err != nil {
			return err
		}
	}
	return m.err
}

// number refuses numbers whose digits alone could fill the memory, and counts the text that a large one can become.
func (m *meter) number(f *big.Float) error {
	exponent := f.MantExp(nil)
	if exponent < 0 {
		exponent = -exponent
	}
	if exponent > maxNumberBits || f.MinPrec() > maxNumberBits {
		m.err = limitf("a number has more than %d bits", maxNumberBits)
		return m.err
	}
	return m.room(exponent / 3) // digits, at the least
}

// numberIn is [meter.number] for a text that HCL would take for a number. Without an exponent it is not large for its text.
func (m *meter) numberIn(v cty.Value) error {
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return m.err
	}
	text := v.AsString()
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '+' && c != '-' && c != 'e' && c != 'E' {
			return m.err
		}
	}
	if err := readable("a number", text); err != nil {
		m.err = err
		return err
	}
	if !strings.ContainsAny(text, "eE") {
		return m.err
	}
	n, err := cty.ParseNumberVal(text)
	if err != nil {
		return m.err // HCL says what is wrong with it
	}
	return m.number(n.AsBigFloat())
}

// readable refuses a text that is too long to be read as what it stands for.
func readable(what, text string) error {
	if len(text) > maxReadText {
		return limitf("%s is read from more than %d KiB of text", what, maxReadText>>10)
	}
	return nil
}
