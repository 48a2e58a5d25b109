// Package sweeps is the pages of sweeps.
package sweeps
