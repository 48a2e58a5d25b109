package passkey

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/cotrain/cotrain/internal/access"
)

// maxAnswer is how long what a browser answers may be, in bytes: a device's certificates are the most of it.
const maxAnswer = 32 << 10

// maxCredential is the longest name of a passkey, in bytes, by the specification.
const maxCredential = 1023

// Site is where passkeys are made and used.
type Site struct {
	Domain string // the host name of the console, of which a passkey is
	Origin string // of its pages: scheme, host and port
}

// Person is whom a passkey is of, as devices show them.
type Person struct {
	ID                access.UserID
	Name, DisplayName string
}

// person serves the library. Of the passkeys only one is asked for.
type person struct {
	Person
	key access.Passkey
}

func (p person) WebAuthnID() []byte          { return []byte(p.ID) }
func (p person) WebAuthnName() string        { return p.Name }
func (p person) WebAuthnDisplayName() string { return p.DisplayName }

func (p person) WebAuthnCredentials() []webauthn.Credential {
	return []webauthn.Credential{{
		ID: p.key.Credential, PublicKey: p.key.PublicKey, AttestationFormat: string(protocol.AttestationFormatNone),
		Flags: webauthn.CredentialFlags{BackupEligible: p.key.Syncs, BackupState: p.key.Synced}, Authenticator: webauthn.Authenticator{SignCount: p.key.Uses},
	}}
}

func (s Site) open() (*webauthn.WebAuthn, error) {
	required := true
	w, err := webauthn.New(&webauthn.Config{
		RPID: s.Domain, RPDisplayName: "CoTrain", RPOrigins: []string{s.Origin}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &required, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore, // none is looked at
	})
	if err != nil {
		return nil, fmt.Errorf("passkeys at %s: %w", s.Origin, err)
	}
	return w, nil
}

// Make asks a browser to make a passkey, on a device that has none of those that there are. The options are for JSON.
func (s Site) Make(challenge []byte, p Person, has []access.Passkey) (options any, err error) {
	w, err := s.open()
	if err != nil {
		return nil, err
	}
	creation, _, err := w.BeginRegistration(person{Person: p}, webauthn.WithExclusions(descriptors(has)), webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()),
		func(o *protocol.PublicKeyCredentialCreationOptions) error {
			o.Challenge, o.Timeout = challenge, int(Lifetime.Milliseconds())
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("ask for a new passkey: %w", err)
	}
	return creation.Response, nil
}

// Use asks a browser to sign with a passkey: one of some, or any where there are none.
func (s Site) Use(challenge []byte, some []access.Passkey) (options any, err error) {
	w, err := s.open()
	if err != nil {
		return nil, err
	}
	assertion, _, err := w.BeginDiscoverableLogin(webauthn.WithChallenge(challenge), webauthn.WithAllowedCredentials(descriptors(some)),
		func(o *protocol.PublicKeyCredentialRequestOptions) error {
			o.Timeout = int(Lifetime.Milliseconds())
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("ask for a passkey: %w", err)
	}
	return assertion.Response, nil
}

func descriptors(all []access.Passkey) []protocol.CredentialDescriptor {
	out := make([]protocol.CredentialDescriptor, len(all))
	for i, p := range all {
		out[i] = protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: p.Credential}
	}
	return out
}

var errTooLong = errors.New("the answer is too long")

// Made is a browser's answer to [Site.Make].
type Made struct {
	Challenge []byte
	parsed    *protocol.ParsedCredentialCreationData
}

// ParseMade reads the JSON of a browser. Nothing of it is checked yet.
func ParseMade(text string) (m Made, err error) {
	if len(text) > maxAnswer {
		return m, errTooLong
	}
	if m.parsed, err = protocol.ParseCredentialCreationResponseBytes([]byte(text)); err != nil {
		return m, detailed(err)
	}
	m.Challenge, err = base64.RawURLEncoding.DecodeString(m.parsed.Response.CollectedClientData.Challenge)
	return m, err
}

// Check returns the passkey that was made for a person, whose device has verified them. The challenge is the caller's to check.
func (s Site) Check(m Made, p Person) (key access.Passkey, err error) {
	w, err := s.open()
	if err != nil {
		return key, err
	}
	made, err := w.CreateCredential(person{Person: p}, webauthn.SessionData{
		Challenge: m.parsed.Response.CollectedClientData.Challenge, UserID: []byte(p.ID), UserVerification: protocol.VerificationRequired, CredParams: webauthn.CredentialParametersRecommendedL3(),
	}, m.parsed)
	switch {
	case err != nil:
		return key, detailed(err)
	case len(made.ID) == 0 || len(made.ID) > maxCredential:
		return key, errors.New("its ID is too long, or missing")
	}
	return access.Passkey{
		User: p.ID, Domain: s.Domain, Credential: made.ID, PublicKey: made.PublicKey,
		Uses: made.Authenticator.SignCount, Syncs: made.Flags.BackupEligible, Synced: made.Flags.BackupState,
	}, nil
}

// Used is a browser's answer to [Site.Use].
type Used struct {
	Challenge  []byte
	Credential []byte
	parsed     *protocol.ParsedCredentialAssertionData
}

// ParseUsed reads the JSON of a browser. Nothing of it is checked yet.
func ParseUsed(text string) (u Used, err error) {
	if len(text) > maxAnswer {
		return u, errTooLong
	}
	if u.parsed, err = protocol.ParseCredentialRequestResponseBytes([]byte(text)); err != nil {
		return u, detailed(err)
	}
	u.Credential = u.parsed.RawID
	u.Challenge, err = base64.RawURLEncoding.DecodeString(u.parsed.Response.CollectedClientData.Challenge)
	return u, err
}

// Verify checks a signature of a passkey, whose device has verified its owner, and returns the passkey with what the device says
// of it now. Whether its count has gone on, and the challenge, are the caller's to check.
func (s Site) Verify(u Used, key access.Passkey) (access.Passkey, error) {
	w, err := s.open()
	if err != nil {
		return key, err
	}
	if key.Domain != s.Domain {
		return key, fmt.Errorf("it is one for %s", key.Domain)
	}
	find := func(_, _ []byte) (webauthn.User, error) { return person{Person: Person{ID: key.User}, key: key}, nil }
	_, _, err = w.ValidatePasskeyLogin(find, webauthn.SessionData{Challenge: u.parsed.Response.CollectedClientData.Challenge, UserVerification: protocol.VerificationRequired}, u.parsed)
	if err != nil {
		return key, detailed(err)
	}
	data := u.parsed.Response.AuthenticatorData
	key.Uses, key.Synced = data.Counter, data.Flags.HasBackupState()
	return key, nil
}

// detailed is an error of the library with what it keeps for developers.
func detailed(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return fmt.Errorf("%w: %s", err, e.DevInfo)
	}
	return err
}
