package fault

import "strings"

// Entry is a kind of error as the catalogue has it, for people.
type Entry struct {
	Code  Kind   `json:"code"`
	Title string `json:"title"`
	What  string `json:"what"` // what happened
	Why   string `json:"why"`
	Fix   string `json:"fix"`  // what to do about it
	Help  string `json:"help"` // its place in the console's help
	// Status is the HTTP status, and Exit the command line's exit code.
	Status    int  `json:"status"`
	Exit      int  `json:"exit"`
	Temporary bool `json:"temporary"` // trying again may help
}

// Entry returns the kind's entry; an unknown kind has that of [ErrInternal].
func (k Kind) Entry() Entry {
	if !k.Known() {
		k = ErrInternal
	}
	row := k.row()
	return Entry{k, row.title, row.what, row.why, row.fix, k.Help(), row.status, row.exit, row.temporary}
}

// Why says in general how errors of the kind come about.
func (k Kind) Why() string { return k.row().why }

// Help is where on a console the kind is described.
func (k Kind) Help() string {
	if !k.Known() {
		k = ErrInternal
	}
	return "/help/troubleshooting#error-" + strings.ReplaceAll(string(k), "_", "-")
}
