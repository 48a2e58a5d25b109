// Package draft puts a run, a template or a sweep together: from what it starts from and what differs, with all that is wrong
// so far. API and command line say the same of one because both do it here; nothing is asked of a console.
package draft
