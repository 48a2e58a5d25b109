// Package account has the pages on which people sign in, and manage how they do.
package account
