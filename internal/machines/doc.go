// Package machines samples what the workers of live runs and their nodes use, keeps that as series, and says what looks wrong: a GPU
// that does nothing, one that is slower than its peers or held down, memory near its end. A node is asked once for its machine and all
// its GPUs, and once for each worker there, in a part of the period that is its own: however many there are, Nomad never has more than a
// few such calls at once.
package machines
