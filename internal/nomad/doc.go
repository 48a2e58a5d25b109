// Package nomad is the only importer of Nomad's API client. It registers each shape's parameterized job, dispatches
// attempts, reads allocations and nodes, explains waiting, and follows logs and events, all in [run]'s types. It works
// alike with a Nomad cluster and the embedded agent.
//
// Lists are truth and events are hints: the only state is which parents were registered.
package nomad
