// Package passkeytest is a device that makes passkeys and signs with them, for tests.
package passkeytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
)

// Flags of what a device says.
const (
	Present  = 1 << 0
	Verified = 1 << 2
	Syncs    = 1 << 3
	Synced   = 1 << 4
	attested = 1 << 6
)

// Device has one passkey, behind a browser. What it does wrong is set in its fields.
type Device struct {
	Flags  byte
	Uses   uint32 // at the next answer; 0 where it does not count
	Origin string // of the page
	Domain string // "" for what the options ask for
	Handle string // whom it says that the passkey is of

	t   testing.TB
	id  []byte
	key *ecdsa.PrivateKey
}

// New returns a device with a browser at a page.
func New(t testing.TB, origin string) *Device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &Device{t: t, Flags: Present | Verified, Origin: origin, key: key, id: make([]byte, 32)}
	_, _ = rand.Read(d.id)
	return d
}

// Options are those for a browser that a device looks at.
type Options struct {
	Challenge string
	Rp        struct{ ID string }
	RpID      string
	User      struct{ ID string }

	UserVerification       string
	AuthenticatorSelection struct{ UserVerification, ResidentKey string }
	Attestation            string
	ExcludeCredentials     []struct{ ID string }
	AllowCredentials       []struct{ ID string }
}

// Read reads options.
func (d *Device) Read(options any) (o Options) {
	d.t.Helper()
	b, err := json.Marshal(options)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return o
}

// Make answers options for a new passkey as a browser does.
func (d *Device) Make(options any) string {
	d.t.Helper()
	o := d.Read(options)
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Handle = string(handle)
	data := d.data(o.Rp.ID, d.Flags|attested)
	data = append(data, make([]byte, 16)...) // no model
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(d.id))), d.id...)
	data = append(data, d.public()...)
	object := slices.Concat([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), binary.BigEndian.AppendUint16(nil, uint16(len(data))), data) // CBOR
	return d.answer(map[string]string{"clientDataJSON": text(d.client("webauthn.create", o.Challenge)), "attestationObject": text(object)})
}

// Use answers options for signing as a browser does.
func (d *Device) Use(options any) string {
	d.t.Helper()
	o := d.Read(options)
	client, data := d.client("webauthn.get", o.Challenge), d.data(o.RpID, d.Flags)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, sum[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return d.answer(map[string]string{"clientDataJSON": text(client), "authenticatorData": text(data), "signature": text(signature), "userHandle": text([]byte(d.Handle))})
}

func (d *Device) client(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.Origin, "crossOrigin": false})
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

func (d *Device) data(domain string, flags byte) []byte {
	if d.Domain != "" {
		domain = d.Domain
	}
	hash := sha256.Sum256([]byte(domain))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), d.Uses)
}

// public is the key in COSE's form: ES256.
func (d *Device) public() []byte {
	point, err := d.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		d.t.Fatal(err)
	}
	return slices.Concat([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[1:33], []byte("\x22\x58\x20"), point[33:])
}

func (d *Device) answer(response map[string]string) string {
	b, err := json.Marshal(map[string]any{"id": text(d.id), "rawId": text(d.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{}})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(b)
}

func text(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
