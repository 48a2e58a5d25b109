// Package compare shows runs beside each other, and which setting a metric depends on.
package compare
