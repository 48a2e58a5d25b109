// Package transfer copies a console's tables from one database into another and verifies the copy. Which tables there are,
// and what they hold, is read from the databases themselves; only what stays behind is listed here.
package transfer
