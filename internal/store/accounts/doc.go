// Package accounts stores who may do what: users, projects with their members, sessions and API tokens. Secrets are stored as
// hashes, which the caller makes. Whatever takes a right away raises the access revision in the same transaction, and does so
// first: such transactions follow each other on PostgreSQL too, and each can check that an administrator is left.
package accounts
