// Package passkey asks browsers for passkeys (WebAuthn), and checks what they answer. Whose a passkey is, and what signing in with
// one gives, is package auth's.
package passkey
