package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/inbound"
)

// secretBytes is the length of each secret: 256 bits, which nobody guesses, so that a fast hash is enough to store them.
const secretBytes = 32

func newSecret() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// idChars is the length of IDs: of 60 bits, a million of them have none twice with a chance of 1 in 2 million.
const idChars = 12

func newID() string { return strings.ToLower(rand.Text()[:idChars]) }

// requestIDs has the digits of newID, 16 from 10 bytes.
var requestIDs = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567")

// newRequestID is of 80 bits. [rand.Text] would read three times as many for each request.
func newRequestID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return requestIDs.EncodeToString(b[:])
}

// A token begins with letters that scanners for leaked secrets find, and its ID, which tells its owner which one it is.
const (
	tokenStart = "ctk_"
	tokenChars = len(tokenStart) + idChars + 1 + 43
)

func newToken() (id access.TokenID, secret string) {
	id = access.TokenID(newID())
	return id, tokenStart + string(id) + "_" + newSecret()
}

func isTokenForm(s string) bool {
	if len(s) != tokenChars || !strings.HasPrefix(s, tokenStart) {
		return false
	}
	id, rest := s[len(tokenStart):][:idChars], s[len(tokenStart)+idChars:]
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return rest[0] == '_'
}

// keyOf is a secret as it is stored and looked up: who reads the store cannot sign in with it.
func keyOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// The cookies, whose names [inbound.CookieName] completes.
const (
	sessionCookie = "cotrain_session"
	deviceCookie  = "cotrain_device"
	pendingCookie = "cotrain_pending"
)

// cookie returns a secret in a cookie. One that is there twice is somebody's trick.
func cookie(r *http.Request, name string) (string, bool) {
	all := r.CookiesNamed(inbound.CookieName(r.Context(), name))
	if len(all) != 1 || len(all[0].Value) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return "", false
	}
	return all[0].Value, true
}

// setCookie sets a cookie for some time; one without a value is removed.
func setCookie(w http.ResponseWriter, r *http.Request, name, value string, lifetime time.Duration) {
	c := http.Cookie{Name: inbound.CookieName(r.Context(), name), Value: value, MaxAge: int(lifetime / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if value == "" {
		c.MaxAge = -1
	}
	inbound.SetCookie(w, r, c)
}
