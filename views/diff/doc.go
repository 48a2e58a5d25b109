// Package diff is the page that compares two configurations.
package diff
