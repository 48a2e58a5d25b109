package account

import "github.com/cotrain/cotrain/views/ui"

// LogIn is the page on which one signs in.
type LogIn struct {
	Name     string // as typed
	Next     string // where to go then
	Error    string // why it failed, or ""
	NotSetUp bool   // there is nobody who could sign in
}

func (l LogIn) fields() []ui.Field {
	return []ui.Field{
		{Name: "name", Label: "Name", Kind: ui.KindText, Value: l.Name, MaxBytes: 127, Autocomplete: "username"},
		{Name: "password", Label: "Password", Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "current-password"},
	}
}

// SetUp is the page on which the first administrator is made.
type SetUp struct {
	Code   string
	Fields []ui.Field
}
