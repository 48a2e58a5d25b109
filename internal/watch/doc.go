// Package watch carries what Nomad says into the store: states of runs, attempts and
// workers. Nomad's lists are the truth; its events only say where to look first.
package watch
