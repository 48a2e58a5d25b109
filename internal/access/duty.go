package access

import "github.com/cotrain/cotrain/internal/fault"

// Duty is what a person who is signed in has to do before anything else.
type Duty struct {
	Right     Right  // the only one that they have until then
	Path      string // of the page on which they do it
	what, fix string
}

// The duties, in the order in which they are done. API tokens have none.
var (
	NewPassword = &Duty{Password, "/account/password", "Your password was chosen by somebody else.", "Choose your own before you do anything else."}
	NewFactor   = &Duty{Factor, "/account/factor", "This console asks for a second factor, and you have none.", "Set one up before you do anything else."}
)

// Err is the fault of trying something else first.
func (d *Duty) Err() error {
	if d == nil {
		return nil
	}
	return fault.New(fault.ErrForbidden, d.what, d.fix)
}
