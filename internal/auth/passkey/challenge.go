package passkey

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// Lifetime is how long a challenge counts.
const Lifetime = 5 * time.Minute

const (
	nonceBytes     = 16 // as the specification asks for
	timeBytes      = 8
	challengeBytes = nonceBytes + timeBytes + sha256.Size
)

// Challenges makes what devices sign. It keeps none: a challenge says when it was made, and carries a code that only this
// process makes. That none counts twice is the caller's.
type Challenges struct {
	now func() time.Time
	key [32]byte
}

// NewChallenges returns challenges that no other process knows.
func NewChallenges(now func() time.Time) *Challenges {
	c := &Challenges{now: now}
	_, _ = rand.Read(c.key[:]) // never fails since Go 1.24
	return c
}

// New is a challenge for a purpose, which names whom it binds.
func (c *Challenges) New(purpose string) []byte {
	b := make([]byte, nonceBytes, challengeBytes)
	_, _ = rand.Read(b) // never fails since Go 1.24
	b = binary.BigEndian.AppendUint64(b, uint64(c.now().UnixMilli()))
	return c.seal(b, purpose)
}

// Is reports whether a challenge was made here, for a purpose, and not too long ago.
func (c *Challenges) Is(challenge []byte, purpose string) bool {
	if len(challenge) != challengeBytes {
		return false
	}
	head := challenge[:nonceBytes+timeBytes]
	if !hmac.Equal(challenge, c.seal(head[:len(head):len(head)], purpose)) {
		return false
	}
	age := c.now().UnixMilli() - int64(binary.BigEndian.Uint64(head[nonceBytes:])) // #nosec G115 -- made above
	return age >= 0 && age < Lifetime.Milliseconds()
}

func (c *Challenges) seal(head []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, c.key[:])
	mac.Write(head)
	mac.Write([]byte(purpose))
	return mac.Sum(head)
}
