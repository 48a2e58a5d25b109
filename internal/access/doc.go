// Package access holds the words and rules of who may do what: roles, the one table of rights, identities, users, projects
// and tokens. It does no I/O; package auth finds out who asks, and package guard refuses what they may not do.
package access
