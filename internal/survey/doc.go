// Package survey has the cluster measured: it dispatches the job for the nodes that somebody chose, follows it until it has ended,
// however often the console restarts meanwhile, and keeps the newest of what they found. What nodes print is not trusted.
package survey
