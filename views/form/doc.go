// Package form is the form for a new run, its plan, and the import of a configuration.
package form
