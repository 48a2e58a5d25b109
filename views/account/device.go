package account

import (
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/views/ui"
)

// Device is the page on which a person signs a program in.
type Device struct {
	Code   string          // as typed
	Asks   *access.Program // the one with the code; nil while none is known
	Error  string          // why not, or ""
	Notice string          // what was answered, or ""
	Now    time.Time
}

func (d Device) field() ui.Field {
	return ui.Field{Name: "code", Label: "Code", Kind: ui.KindText, Value: d.Code, MaxBytes: 40, Required: true, Help: "Eight letters, as the program shows them.", Error: d.Error}
}

// does is what a scope allows.
func does(s access.Scope) string {
	switch s {
	case access.ScopeRead:
		return "see what a viewer sees"
	case access.ScopeWrite:
		return "what an operator does: submit, stop and delete runs"
	case access.ScopeAll:
		return "whatever you may, your account included"
	}
	text := access.Right(s).Rule().Does
	return strings.ToLower(text[:min(1, len(text))]) + text[min(1, len(text)):]
}
