// Package measure has the words of a measurement of the cluster: what nodes measure of themselves and of the ways between them, in
// which order, what of it is wrong, and how fast the slowest way is. No I/O: package probe measures, package survey has it measured.
package measure
