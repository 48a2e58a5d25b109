// Package jobs holds what runs on the nodes: the Nomad job file, the launch script and the metrics shim, embedded so
// that one binary carries them.
package jobs
