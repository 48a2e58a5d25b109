package account

import "github.com/cotrain/cotrain/views/ui"

// LogIn is the page on which one signs in.
type LogIn struct {
	Name     string // as typed
	Next     string // where to go then
	Error    string // why it failed, or ""
	NotSetUp bool   // there is nobody who could sign in
	Ended    bool   // the session of this browser counts no more

	Passwords    bool   // one signs in with a password
	Provider     string // or at this provider, "" for none
	ProviderLink string // which leads there
	Passkeys     bool   // or with a passkey
}

// SecondFactor is the page on which a log-in with a password is completed.
type SecondFactor struct {
	Next    string // where to go then
	Error   string // why it failed, or ""
	Code    bool   // by a code
	Passkey bool   // by a passkey
	Problem string // why not at this address, or ""
}

// SignedOut is the page after a log-out, on the way to the provider that has signed the user in.
type SignedOut struct {
	Provider string
	Link     string // where it ends its own session
}

func (l LogIn) fields() []ui.Field {
	name := "username"
	if l.Passkeys {
		name += " webauthn" // the browser offers them in the field
	}
	return []ui.Field{
		{Name: "name", Label: "Name", Kind: ui.KindText, Value: l.Name, MaxBytes: 127, Autocomplete: name},
		{Name: "password", Label: "Password", Kind: ui.KindSecret, MaxBytes: 1024, Autocomplete: "current-password"},
	}
}

// SetUp is the page on which the first administrator is made.
type SetUp struct {
	Code   string
	Fields []ui.Field
}
