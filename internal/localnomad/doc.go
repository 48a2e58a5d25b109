// Package localnomad is the embedded agent: Nomad's HTTP API for one machine.
//
// It answers the calls that the console makes with the same paths, shapes, codes and texts as a real agent, so that the
// console has one code path. It really places allocations on local nodes, runs their tasks as process groups that die with
// it, keeps their logs, and keeps its state on disk. It is not a cluster and never will be: beyond one machine, run Nomad.
// A job that asks for more is refused, with the block that does; what means nothing on one machine is answered with a warning.
//
// This package wires: state holds the tables, sched places, task runs, logfile keeps output, jobfile reads job files, gpu
// finds devices, httpapi answers.
package localnomad
