// Package state holds the embedded agent's tables: jobs, evaluations, allocations, nodes, services and variables.
//
// One lock guards them. A change ([Store.Update]) has one index, one batch of events and one line in the log on disk, as
// in Nomad's state store. Stored objects never change: a change stores a copy, so readers may keep what they were given.
package state
