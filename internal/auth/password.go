package auth

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

const (
	// minPassword and maxPassword are in characters. NIST SP 800-63B asks for 15 where a password is all, OWASP for 8 beside a
	// second factor; 12 resist guessing as often as the lock-out and the hash allow.
	minPassword, maxPassword = 12, 256
	// minDistinct characters keep out what only seems long.
	minDistinct = 5
	// maxHashing bounds the memory of log-ins: two hashes at a time have 92 MiB.
	maxHashing = 2
	// maxWaiting log-ins wait for their turn, about a second at most; others are told that the console is busy.
	maxWaiting = 32
)

// hashParams are the first that OWASP recommends: 46 MiB and one pass. Stored hashes with others are renewed at log-in.
var hashParams = argon2id.Params{Memory: 47104, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// nobodysHash is of a random password, with hashParams: an unknown name costs as much time as a known one.
const nobodysHash = "$argon2id$v=19$m=47104,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

//go:embed common.txt
var commonText string

// common are passwords of 12 and more characters that are in many leaked lists, in lower case.
var common = strings.Fields(commonText)

// normal is a password in the form that is hashed, however the keyboard composes its letters.
func normal(password string) string { return norm.NFC.String(password) }

// checkPassword says what is wrong with a new password of a user.
func checkPassword(field, user, password string) run.FieldErrors {
	bad := func(rule, fix string) run.FieldErrors { return run.FieldErrors{{Field: field, Rule: rule, Fix: fix}} }
	password = normal(password)
	lower := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, r := range lower {
		distinct[r] = true
	}
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password):
		return bad("is not text", "type it again")
	case n < minPassword:
		return bad(fmt.Sprintf("has fewer than %d characters", minPassword), "use a few words in a row, for example")
	case n > maxPassword:
		return bad(fmt.Sprintf("has more than %d characters", maxPassword), "use a shorter one")
	case len(distinct) < minDistinct:
		return bad(fmt.Sprintf("has fewer than %d different characters", minDistinct), "use a few words in a row, for example")
	case slices.Contains(common, lower):
		return bad("is one of the most common", "choose one that only you have")
	case user != "" && strings.ReplaceAll(lower, user, "") == "":
		return bad("is the login name", "choose another")
	}
	return nil
}

// hasher hashes passwords, few at a time.
type hasher struct {
	hashing, waiting chan struct{}
	params           argon2id.Params
	check            func(password, hash string) (bool, *argon2id.Params, error)
}

func newHasher() *hasher {
	return &hasher{
		hashing: make(chan struct{}, maxHashing), waiting: make(chan struct{}, maxHashing+maxWaiting),
		params: hashParams, check: argon2id.CheckHash,
	}
}

// turn calls fn when few others hash, or returns [fault.ErrBusy] when too many wait.
func (h *hasher) turn(ctx context.Context, fn func() error) error {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return fault.New(fault.ErrBusy, "Too many people are signing in at once.", "")
	}
	select {
	case h.hashing <- struct{}{}:
		defer func() { <-h.hashing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return fn()
}

// Hash is a new password's.
func (h *hasher) Hash(ctx context.Context, password string) (hash string, err error) {
	err = h.turn(ctx, func() error {
		hash, err = argon2id.CreateHash(normal(password), &h.params)
		return err
	})
	return hash, wrap("hash a password", err)
}

// Verify reports whether a password is that of a hash, "" for nobody's, and whether the hash is to be renewed.
func (h *hasher) Verify(ctx context.Context, password, hash string) (ok, renew bool, err error) {
	against := hash
	if hash == "" {
		against = nobodysHash
	}
	if len(password) > 4*maxPassword { // no password is
		password = ""
	}
	err = h.turn(ctx, func() error {
		match, params, err := h.check(normal(password), against)
		if err == nil {
			ok, renew = match && hash != "", *params != h.params
		}
		return err
	})
	return ok, renew, wrap("check a password", err)
}
