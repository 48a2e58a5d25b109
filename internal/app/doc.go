// Package app wires the console in one straight function: store, Nomad client or embedded agent, the flows between them,
// pages and API.
package app
