// Package localnomad is the embedded agent: Nomad's HTTP API for one machine.
//
// It answers the calls CoTrain makes with the same paths, shapes, codes and
// texts as a real agent, so that the console has one code path. It really
// places allocations on local nodes, runs their tasks as process groups that
// die with it, keeps their logs, and keeps its state on disk. It is not a
// cluster and never will be: beyond one machine, run Nomad.
//
// One lock guards the tables (state.go). Stored objects are never changed
// after they are stored: a change stores a copy, so readers may keep and
// encode what they were given without the lock.
package localnomad
