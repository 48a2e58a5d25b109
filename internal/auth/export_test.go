package auth

import "github.com/alexedwards/argon2id"

// WrapCheck replaces how a password is checked.
func (s *Service) WrapCheck(wrap func(check func(password, hash string) (bool, *argon2id.Params, error)) func(password, hash string) (bool, *argon2id.Params, error)) {
	s.hashes.check = wrap(s.hashes.check)
}

// Hash changes how new passwords are hashed; the zero value is as in a console.
func (s *Service) Hash(p argon2id.Params) {
	if p == (argon2id.Params{}) {
		p = hashParams
	}
	s.hashes.params = p
}

// Limits of the tests.
const (
	MaxHashing, MaxWaiting            = maxHashing, maxWaiting
	SessionLifetime, IdleLifetime     = sessionLifetime, idleLifetime
	SessionCookie, DeviceCookie       = sessionCookie, deviceCookie
	MinPassword, MaxPassword          = minPassword, maxPassword
	PerDevice, PerNetwork, PerAccount = 10, 50, 100
)

// CheckPassword says what is wrong with a new password.
var CheckPassword = checkPassword

// Common are the passwords that nobody may have.
var Common = common

// SaveSeen stores when credentials were used.
var SaveSeen = (*Service).saveSeen

// Follow loads what others changed.
var Follow = (*Service).follow

// KeyOf is a secret as it is stored.
var KeyOf = keyOf

// LoginCookie binds a log-in at the provider.
const LoginCookie = loginCookie

// The faults of a log-in at the provider.
var ErrStale, ErrOutside, ErrDisabled, ErrNameless = errStale, errOutside, errDisabled, errNameless
