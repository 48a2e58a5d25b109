package access

import (
	"strings"
	"time"
)

// Passkey is a key in a person's device or password manager that signs them in (WebAuthn).
type Passkey struct {
	ID        string    `json:"id"`
	User      UserID    `json:"user"`
	Name      string    `json:"name"`
	Domain    string    `json:"domain"` // of the console: browsers offer it nowhere else
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
	Syncs     bool      `json:"syncs"`  // its device may copy it to the person's others
	Synced    bool      `json:"synced"` // and has done so

	Credential []byte `json:"-"` // what authenticators call it
	PublicKey  []byte `json:"-"` // in COSE's form
	Uses       uint32 `json:"-"` // as its device counts them; always 0 where it does not
}

const byPasskey = "passkey:" // no issuer at a provider begins so: they are URLs

// PasskeyIssuer is the Issuer of sessions that a passkey has begun.
func PasskeyIssuer(id string) string { return byPasskey + id }

// Passkey is the ID of the passkey that has begun the session, "" for none.
func (s Session) Passkey() string {
	id, ok := strings.CutPrefix(s.Issuer, byPasskey)
	if !ok {
		return ""
	}
	return id
}
