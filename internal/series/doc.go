// Package series prepares curves for charts. It is pure: no I/O, no clock.
package series
