// Package run is the domain of CoTrain: runs, attempts, workers, shapes, their
// states, and the events and samples they leave behind. It imports nothing but
// the standard library, and everything else imports it.
package run
