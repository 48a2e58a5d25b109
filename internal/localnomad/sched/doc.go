// Package sched decides what runs on which local node: evaluations come in, allocations that are placed and stopped go out
// to the [Runners]. Reasons for what cannot be placed have Nomad's texts.
//
// A failed allocation stays as it is: on one machine the restart block says all there is to say about trying again.
package sched
