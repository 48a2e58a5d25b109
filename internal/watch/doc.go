// Package watch carries Nomad's view of runs, attempts and workers into the store. Nomad's lists are the truth; its
// events only say where to look first.
package watch
