// Package rounds reads what a run's workers reported of its outer steps and has [mesh] make rounds of it. It keeps what it has read of
// the runs looked at last, so that a live run costs what is new of it.
package rounds
