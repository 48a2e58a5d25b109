// Package run is the domain of CoTrain: runs, attempts, workers, shapes, their states, and the events and samples they
// leave behind. It uses only the standard library and internal/fault.
package run
