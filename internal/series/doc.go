// Package series compresses the points of a metric and prepares curves for charts. It is pure: no I/O, no clock.
package series
