package account

import (
	"cmp"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/views/ui"
)

// Passkeys are those of who is signed in, and the form for a new one.
type Passkeys struct {
	All     []access.Passkey
	Problem string // why none can be made here, or ""
	Open    bool   // the form
	Name    string // as typed; "" for what the browser is called
	Agent   string // User-Agent
	Error   string // what is wrong with the name, or ""
	Failed  string // why the new one does not count, or ""
}

// PasskeyDetails is one passkey, to be renamed or removed.
type PasskeyDetails struct {
	Passkey access.Passkey
	Now     time.Time
	Error   string // what is wrong with the new name, or ""
	Problem string // why it is not removed, or ""
}

func (p Passkeys) fields() []ui.Field {
	return []ui.Field{passkeyName(cmp.Or(p.Name, ui.Device(p.Agent)), p.Error, "Where it is kept."), proofField()}
}

func (d PasskeyDetails) name() ui.Field { return passkeyName(d.Passkey.Name, d.Error, "") }

func passkeyName(value, problem, help string) ui.Field {
	return ui.Field{Name: "passkey", Label: "Name", Kind: ui.KindText, Value: value, MaxBytes: 320, Required: true, Error: problem, Help: help}
}

// backup says where else a passkey is.
func backup(p access.Passkey) string {
	switch {
	case p.Synced:
		return "synced"
	case p.Syncs:
		return "not synced yet"
	}
	return "none"
}

func passkeyPath(p access.Passkey) string { return "/account/passkeys/" + p.ID }
