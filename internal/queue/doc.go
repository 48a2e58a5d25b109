// Package queue sends runs to Nomad: by priority and then in the order in which they
// were submitted, each attempt exactly once however often the console is killed in
// between. Nomad has no gang scheduling: it would start the workers that fit and let
// the others wait, so a run is sent only when all of its workers fit now.
//
// # Order
//
// A run that does not fit keeps what it needs: a later one is sent before it only if it
// cannot take any of that, wherever Nomad puts it. That is so on nodes that the first
// cannot use (another GPU model, another site), and beside its GPUs for a run without
// GPUs that leaves CPU and memory for workers on all of them. Strict order would leave
// the other nodes idle; letting pass whatever fits would starve each large run behind
// a stream of small ones; and how long runs take, by which a batch system fills such
// gaps, nobody knows here.
//
// A run keeps nothing that the console's own runs cannot free. One that asks for a GPU
// which no node has, for more nodes than are ready, or for what others' jobs take up,
// waits with its reason, and everybody passes it until the cluster has changed. The
// same holds for what only the site's job file or Nomad itself knows, such as a
// constraint that no node meets: the numbers cannot say what there is to keep.
//
// # Room
//
// Nomad's scheduler is asked whether a shape fits (a plan, which changes nothing). It
// knows the job file, and what it has placed; it knows nothing of jobs that were sent a
// moment ago. Those are counted against what is free as if each of their workers took
// the worst place, until the list of allocations has them. So a run waits some
// milliseconds longer now and then, and what is sent always fits, unless a node goes
// away or somebody else takes the room in between. Then the watcher takes the attempt
// back, and the run waits here again.
//
// Scheduler and numbers can disagree for a moment: some Nomads count a worker that is
// ending as gone. Until they have disagreed for two minutes both must agree; after that
// the scheduler is believed.
//
// Runs that Nomad cannot be told about yet, whose next attempt has to wait, or whose
// sweep has as many live runs as it may, stay queued with the reason too.
package queue
