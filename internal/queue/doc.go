// Package queue sends runs to Nomad by priority, then age, each attempt exactly once even if the console is killed.
// Nomad has no gang scheduling, it would start the workers that fit and let the others wait, so a run is sent only when
// all of its workers fit.
//
// # Order
//
// A run that does not fit reserves what it needs: a later one goes first only if it cannot take any of that, wherever
// Nomad puts it. That holds on nodes that the first cannot use (another GPU model, another site), and for a run without
// GPUs that leaves CPU and memory for workers on all of a node's GPUs. Strict order would leave other nodes idle;
// backfilling whatever fits would starve large runs behind small ones; and the run times by which batch systems fill
// gaps are unknown here.
//
// A run reserves nothing that the console's own runs cannot free. One that asks for a GPU no node has, for more nodes
// than are ready, or for what others' jobs occupy waits with its reason, and the rest passes it until the cluster
// changes. The same goes for what only the site's job file or Nomad knows, such as a constraint that no node meets.
//
// # Room
//
// Nomad's scheduler is asked whether a shape fits (a plan, which changes nothing). It knows the job file and what it has
// placed, but not jobs sent a moment ago. Until these appear in the list of allocations, each of their workers counts
// against free room in the worst place. So a run may wait some milliseconds longer, and what is sent fits unless a node
// goes away or somebody else takes the room. Then the watcher recalls the attempt, and the run waits here again.
//
// Scheduler and numbers can briefly disagree: some Nomads count an ending worker as gone. Both must agree until they
// have disagreed for two minutes; then the scheduler is believed.
//
// Runs that Nomad cannot be told about yet, whose retry has to wait, or whose sweep is full stay queued with their
// reason too.
package queue
