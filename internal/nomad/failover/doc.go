// Package failover sends requests to one of several servers of Nomad: to the one in use as long as it works, to the next when it does
// not, and never twice where that could do something twice.
package failover
