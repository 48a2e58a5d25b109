// Package consul is the only importer of Consul's API client. It finds the healthy instances of a service in several datacenters,
// follows the
// catalog of nodes, keeps the console registered, estimates how far nodes are from each other, and holds a lock for leadership.
//
// What goes wrong with Consul is a fault that names the setting to look at; what was known before stays known.
package consul
