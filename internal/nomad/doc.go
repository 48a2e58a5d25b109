// Package nomad is the only importer of Nomad's API client. It registers the parameterized job of each shape, dispatches
// attempts, reads allocations and nodes, says why something waits, follows logs and events, and speaks in
// [run]'s types throughout. It works the same against a Nomad cluster and the embedded agent.
//
// Lists are truth and events are hints: nothing here keeps a state of the cluster except which parents were registered.
package nomad
