// Package mesh makes rounds of what the workers of a DiLoCo run reported: who was there, who waited for whom, and what that cost.
//
// A round is an outer step: inner steps, and a sync at its end. A worker that syncs tells how long that took, its waiting for the others
// included. An all-reduce ends for all workers at about the same time, so who took least was last to come: the straggler. What it took is
// the all-reduce alone, and what the others took beyond that they waited. Durations need no clock.
//
// The places of rounds in time do. A worker's clock says when its last inner step was done, and with its sync when that ended. The offset
// of its clock to worker 0's is the median, over 32 rounds at a time, of how much later its syncs end; its spread, scaled from the median
// deviation, says how sure that is. A round ends at the median of its workers' ends, less their offsets. Where workers do not tell their
// clocks, the times at which the console received their lines stand for them.
//
// The package is pure: no I/O and no clock. Its input is untrusted: numbers that cannot be are left out.
package mesh
