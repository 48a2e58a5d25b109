package account

import (
	"fmt"
	"time"

	"github.com/cotrain/cotrain/views/ui"
)

// Factor is the page on which a second factor is set up or removed.
type Factor struct {
	Needed   bool      // before anything else
	Passkeys Passkeys  // one will do
	Since    time.Time // zero for none
	Recovery int       // codes left
	Now      time.Time
	Problem  string // what was wrong, or ""

	QR      string // path of the code's modules, while it is set up
	Modules int    // of a side
	Secret  string

	Codes []string // recovery codes of one that was just set up: shown once
}

// box is the code with the light margin that readers need.
func (f Factor) box() string {
	return fmt.Sprintf("-4 -4 %d %d", f.Modules+8, f.Modules+8)
}

func codeField(help string) ui.Field {
	return ui.Field{Name: "code", Label: "Code", Kind: ui.KindText, MaxBytes: 40, Autocomplete: "one-time-code", Required: true, Help: help}
}

func proofField() ui.Field {
	return ui.Field{Name: "proof", Label: "Password or code", Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "current-password", Required: true}
}

// spaced is a secret in groups of four, to be typed.
func spaced(secret string) string {
	out := ""
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			out += " "
		}
		out += string(r)
	}
	return out
}
