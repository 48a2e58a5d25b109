// Package task runs allocations as a Nomad client does: directories, payload, templates, services, and each task as a
// process group that dies with this process, restarted as its policy says. What happens is told to the state.
package task
