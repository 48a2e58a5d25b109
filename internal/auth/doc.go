// Package auth finds out who asks, and lets people in and out: passwords, sessions, API tokens, and the link that makes the
// first administrator. What they may do is decided in packages access and guard.
//
// Who may do what is kept in memory as of one revision of the store, with the sessions and tokens that were used since, so
// that a request asks no database. A change made here counts at once, one made elsewhere within [pollEvery].
package auth
